//! An HTTP server that speaks the ECS RPC API.
