//! The vendor's default chain of credentials.
