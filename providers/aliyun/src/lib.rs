//! Alibaba Cloud (Aliyun) ECS.
