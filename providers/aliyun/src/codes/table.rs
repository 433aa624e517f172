//! The table: what each of the provider's codes means, and what a refused launch is about.
//!
//! The subject of a code was decided from the vendor's text for it on RunInstances. A code that may
//! be about the type or the vSwitch as configured *here* is a matter of fit: to try the next place
//! costs one call, to give the launch up costs the fleet its capacity.

use cloud::Class::{
    self, Ambiguous, Auth, Conflict, Gone, NoCapacity, Permanent, Quota, Transient,
};
use cloud::Concerns::{self, Account, Fit, InstanceType, Moment, Place, Spec, Unknown, VSwitch};

const THROTTLED: Class = Class::Throttled { retry_after: None };

/// Codes with a meaning of their own.
pub(super) const CODES: &[(&str, Class, Concerns)] = &[
    // Asking too often is refused before anything happens.
    ("Throttling", THROTTLED, Moment),
    ("Rejected.Throttling", THROTTLED, Moment),
    // What a dry run says of a request that would succeed.
    ("DryRunOperation", Permanent, Moment),
    ("DRYRUN.SUCCESS", Permanent, Moment),
    // The provider failed. A write may have happened: see `classify`.
    ("InternalError", Transient, Moment),
    ("Mayi.InternalError", Transient, Moment),
    ("UnknownError", Transient, Moment),
    ("ServiceUnavailable", Transient, Moment),
    ("ServiceUnavailable.RegionMaintaining", Transient, Moment),
    // A retransmission below us: the first copy may have been accepted.
    ("SignatureNonceUsed", Transient, Moment),
    // Sold out, or not sold here: the next type or zone may do.
    ("OperationDenied.NoStock", NoCapacity, Place),
    ("InvalidInstanceType.ZoneNotSupported", NoCapacity, Place),
    ("InvalidInstanceType.ValueNotSupported", NoCapacity, Place),
    ("InvalidInstanceType.NotSupported", NoCapacity, Place),
    ("InvalidResourceType.NotSupported", NoCapacity, Place),
    ("ResourceNotAvailable", NoCapacity, Place),
    ("NodeControllerUnavailable", NoCapacity, Place),
    ("OperationDenied.ResourceControl", NoCapacity, Place),
    ("OperationDenied.PaygNotAvailable", NoCapacity, Fit),
    ("OperationDenied.CloudSSDNotSupported", NoCapacity, Fit),
    ("OperationDenied.ZoneSystemCategoryNotMatch", NoCapacity, Fit),
    ("InvalidZoneId.NotSupportShareEncryptedImage", NoCapacity, Fit),
    ("InvalidSpotPriceLimit.LowerThanPublicPrice", NoCapacity, Fit),
    ("OperationDenied.SpotPriceLowerThanPublicPrice", NoCapacity, Fit),
    ("InstanceType.Offline", NoCapacity, InstanceType),
    ("Zone.NotOnSale", NoCapacity, VSwitch),
    ("Zone.NotOpen", NoCapacity, VSwitch),
    ("OperationDenied.ZoneNotAllowed", NoCapacity, VSwitch),
    ("OperationDenied.NoVlan", NoCapacity, VSwitch),
    ("InvalidVpcZone.NotSupported", NoCapacity, VSwitch),
    ("QuotaExceeded.PrivateIpAddress", NoCapacity, VSwitch),
    ("InvalidVSwitchId.IpNotEnough", NoCapacity, VSwitch),
    // Limits of a type or a group. The quota of a type's family may be one per zone: each place is
    // tried once.
    ("QuotaExceed.ElasticQuota", Quota, Place),
    ("SecurityGroupInstanceLimitExceed", Quota, Spec),
    ("JoinedGroupLimitExceed", Quota, Spec),
    ("QuotaExceed.DeploymentSetInstanceQuotaFull", Quota, Spec),
    ("QuotaExceed.BuyImage", Quota, Spec),
    ("QuotaExceed.Tags", Quota, Spec),
    ("QuotaExceed.DiskCapacity", Quota, Fit),
    // Limits of the account, and money: a person must act.
    ("OperationDenied.QuotaExceed", Quota, Account),
    ("InsufficientBalance", Quota, Account),
    ("Account.Arrearage", Quota, Account),
    ("InvalidAccountStatus", Quota, Account),
    ("InvalidPayMethod", Quota, Account),
    ("PaymentMethodNotFound", Quota, Account),
    ("RealNameAuthenticationError", Quota, Account),
    ("Forbidden.RiskControl", Quota, Account),
    ("SecurityRisk.3DVerification", Quota, Account),
    ("InvalidInstance.UnPaidOrder", Quota, Account),
    ("InstanceLockedForSecurity", Quota, Moment),
    ("InstanceExpiredOrInArrears", Quota, Account),
    ("InstanceExpired", Quota, Moment),
    // Who asks …
    ("SignatureDoesNotMatch", Auth, Account),
    ("IncompleteSignature", Auth, Account),
    ("InvalidSignatureMethod", Auth, Account),
    ("IllegalTimestamp", Auth, Account),
    ("NoEnabledAccessKey", Auth, Account),
    ("MissingSecurityToken", Auth, Account),
    ("Forbidden.AccessKeyDisabled", Auth, Account),
    ("Forbidden.AccessKey", Auth, Account),
    ("Forbidden.RegionId", Auth, Account),
    ("RegionUnauthorized", Auth, Account),
    // … and whether that is permitted: of this image, this role, or what is configured here.
    ("Forbbiden", Auth, Fit), // the vendor's spelling
    ("NoPermission", Auth, Fit),
    ("InvalidUser.PassRoleForbidden", Auth, Spec),
    ("UserNotInTheWhiteList", Auth, Spec),
    // It does not exist (any more).
    ("InvalidInstanceId.NotFound", Gone, Moment),
    ("InvalidInstanceIds.NotFound", Gone, Moment),
    ("Forbidden.InstanceNotFound", Gone, Moment),
    ("ResourceNotFound.BackendServer", Gone, Moment),
    // Not in this state.
    ("IncorrectInstanceStatus", Conflict, Moment),
    ("InstanceNotReady", Conflict, Moment),
    ("OperationConflict", Conflict, Moment),
    ("Operation.Conflict", Conflict, Moment),
    ("InvalidOperation.Conflict", Conflict, Moment),
    ("InvalidOperation.DeletionProtection", Conflict, Moment),
    ("LastOrderProcessing", Conflict, Moment),
    ("LastRequestProcessing", Conflict, Moment),
    ("IncorrectVSwitchStatus", Conflict, VSwitch),
    ("IncorrectVpcStatus", Conflict, Moment),
    ("IncorrectDefaultVpcStatus", Conflict, Moment),
    // A load balancer that is busy with another change.
    ("ServiceIsConfiguring", Conflict, Moment),
    ("ServiceIsStopping", Conflict, Moment),
    ("VServerGroupProcessing", Conflict, Moment),
    ("OperationBusy", Conflict, Moment),
    ("SystemBusy", Conflict, Moment),
    ("BackendServer.configuring", Conflict, Moment),
    ("IncorrectStatus.ServerGroup", Conflict, Moment),
    ("IncorrectStatus.serverGroup", Conflict, Moment),
    ("Conflict.Lock", Conflict, Moment),
    ("OperationFailed.ResourceIsConfiguring", Conflict, Moment),
    // The first request with this token is still under way, or had other parameters: only a look
    // tells what it did.
    ("LastTokenProcessing", Ambiguous, Moment),
    ("Idempotence.Processing", Ambiguous, Moment),
    ("IdempotenceProcessing", Ambiguous, Moment),
    ("ProcessingSameRequest", Ambiguous, Moment),
    ("OperationDenied.CreatingConflict", Ambiguous, Moment),
    ("IdempotentParameterMismatch", Ambiguous, Moment),
    ("InvalidIdempotenceParameter.Mismatch", Ambiguous, Moment),
    // The vSwitch is not there, with every type.
    ("InvalidVSwitchId.NotFound", Permanent, VSwitch),
    ("InvalidVSwitchId.NotExist", Permanent, VSwitch),
    ("InvalidZoneId.NotFound", Permanent, VSwitch),
    ("VpcNotFound", Permanent, VSwitch),
    // The type is not for this account, in every vSwitch.
    ("InvalidInstanceType.ValueUnauthorized", Permanent, InstanceType),
    // What is configured does not go with this type or this vSwitch.
    ("InvalidSystemDiskCategory.ValueNotSupported", Permanent, Fit),
    ("InvalidDataDiskCategory.ValueNotSupported", Permanent, Fit),
    ("InvalidDiskCategory.Mismatch", Permanent, Fit),
    ("InvalidDiskCategory.NotSupported", Permanent, Fit),
    ("InvalidDiskCategory.ValueNotSupported", Permanent, Fit),
    ("OperationDenied.DiskTypeNotSupport", Permanent, Fit),
    ("OperationDenied.LocalDiskUnsupported", Permanent, Fit),
    ("CategoryNotSupported", Permanent, Fit),
    ("CategoryViolation", Permanent, Fit),
    ("InstanceDiskCategoryLimitExceed", Permanent, Fit),
    ("InstanceDiskNumLimitExceed", Permanent, Fit),
    ("InstanceDiskNumber.LimitExceed", Permanent, Fit),
    ("InvalidParameter.EncryptedNotSupported", Permanent, Fit),
    ("ImageNotSupportInstanceType", Permanent, Fit),
    ("DependencyViolation.WindowsInstance", Permanent, Fit),
    ("DependencyViolation.IoOptimized", Permanent, Fit),
    ("InvalidIoOptimize.ValueNotSupported", Permanent, Fit),
    ("IoOptimized.NotSupported", Permanent, Fit),
    ("InvalidUserData.NotSupported", Permanent, Fit),
    ("InvalidParameter.CreditSpecification", Permanent, Fit),
    ("InvalidInstanceChargeType.NotSupport", Permanent, Fit),
    ("InvalidSpotInterruptionBehavior.LocalDiskNotSupport", Permanent, Fit),
    ("InvalidHpcClusterId.Necessary", Permanent, Fit),
    ("InvalidHpcClusterId.Unnecessary", Permanent, Fit),
    ("DedicatedHostType.Unmatched", Permanent, Fit),
    ("InvalidInstanceType.ElasticNetworkInterfaceNotSupported", Permanent, Fit),
    ("InvalidOperation.ExceedInstanceTypeQueueNumber", Permanent, Fit),
    ("InvalidOperation.MaxEniQueueNumberExceeded", Permanent, Fit),
    ("InvalidParameter.InvalidEniQueueNumber", Permanent, Fit),
    ("InvalidOperation.Ipv4CountExceeded", Permanent, Fit),
    ("InvalidOperation.Ipv6CountExceeded", Permanent, Fit),
    ("InvalidOperation.Ipv6NotSupport", Permanent, Fit),
    ("MaxEniIpv6IpsCountExceeded", Permanent, Fit),
    ("InvalidVSwitch.Ipv6NotTurnOn", Permanent, Fit),
    ("InvalidVSwitchId.IpInvalid", Permanent, Fit),
    ("InvalidOperation.VpcHasEnabledAdvancedNetworkFeature", Permanent, Fit),
    ("InvalidNetworkType.Mismatch", Permanent, Fit),
    ("InvalidNetworkType.NotSupported", Permanent, Fit),
    ("OperationDenied.InconsistentNetwork", Permanent, Fit),
    ("OperationDenied.InvalidNetworkType", Permanent, Fit),
    ("InvalidParameter.Mismatch", Permanent, Fit),
    ("InvalidParameter.NotMatch", Permanent, Fit),
    ("ResourcesNotInSameZone", Permanent, Fit),
    // What the configuration asks for cannot be, anywhere.
    ("ChargeTypeViolation", Permanent, Spec),
    ("HOSTNAME_ILLEGAL", Permanent, Spec),
    ("InvalidAction.NotFound", Permanent, Spec),
    // Said of many things.
    ("OperationDenied", Permanent, Unknown),
];

/// Families, by a prefix of the code; the first that fits counts.
pub(super) const PREFIXES: &[(&str, Class, Concerns)] = &[
    ("QuotaExceed", Quota, Account), // also QuotaExceeded.…
    ("InvalidAccountStatus.", Quota, Account),
    ("InvalidAccessKeyId", Auth, Account),
    ("InvalidSecurityToken", Auth, Account),
    ("InvalidTimeStamp", Auth, Account),
    // One image's, one vSwitch's, or everything's: each place is tried once.
    ("Forbidden", Auth, Fit),
    ("NoPermission.", Auth, Fit),
    ("IncorrectInstanceStatus.", Conflict, Moment),
    ("DependencyViolation.SLBConfiguring", Conflict, Moment),
    ("DependencyViolation.RouteEntry", Conflict, Moment),
    // A request that names something wrong, unsupported or missing.
    ("Invalid", Permanent, Spec),
    ("MissingPara", Permanent, Spec), // the vendor also spells it MissingParamter
    ("Incorrect", Permanent, Spec),
    ("OperationDenied.", Permanent, Spec),
    ("DependencyViolation.", Permanent, Spec),
    ("NumberExceed.", Permanent, Spec),
    ("Duplicate.", Permanent, Spec),
    ("ResourceNotFound.", Permanent, Spec),
    ("ResourceAlreadyExist.", Permanent, Spec),
    ("BackendServer.", Permanent, Spec),
    ("ChargeTypeViolation.", Permanent, Spec),
    ("DedicatedHostType.", Permanent, Spec),
    ("DefaultVswitch.", Permanent, Spec),
    ("DeleteWithInstance.", Permanent, Spec),
    ("DeploymentSet.", Permanent, Spec),
    ("DryRun.", Permanent, Spec),
    ("Image", Permanent, Spec),
    ("InstanceDisk", Permanent, Spec),
];
