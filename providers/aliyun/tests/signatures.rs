//! Both signature versions against every vector, step by step.

use std::collections::BTreeMap;

use aliyun::rpc::{acs3, encode, v1};
use serde_json::Value;

fn vectors(json: &str) -> Vec<Value> {
    let vectors: Vec<Value> = serde_json::from_str(json).expect("a list of vectors");
    assert!(vectors.len() >= 7, "the file is complete");
    vectors
}

fn text<'a>(vector: &'a Value, key: &str) -> &'a str {
    vector[key].as_str().unwrap_or_else(|| panic!("{key} of {}", vector["name"]))
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    let object = value.as_object().cloned().unwrap_or_default();
    object
        .into_iter()
        .map(|(name, value)| (name, value.as_str().expect("a string").to_owned()))
        .collect()
}

#[test]
fn v1_signs_every_vector_step_by_step() {
    for vector in vectors(include_str!("vectors/signature-v1-vectors.json")) {
        let name = text(&vector, "name");
        let method = text(&vector, "method");
        let secret = text(&vector, "access_key_secret");
        let params = pairs(&vector["params"]);
        assert_eq!(
            encode::canonical_query(&params),
            text(&vector, "canonicalized_query"),
            "{name}"
        );
        let to_sign = v1::string_to_sign(method, &params);
        assert_eq!(to_sign, text(&vector, "string_to_sign"), "{name}");
        let signature = v1::signature(secret, &to_sign);
        assert_eq!(signature, text(&vector, "signature"), "{name}");
        if let Some(encoded) = vector["signature_percent_encoded"].as_str() {
            assert_eq!(encode::percent(&signature), encoded, "{name}");
        }
        if let Some(body) = vector["body"].as_str().filter(|body| !body.is_empty()) {
            assert_eq!(encode::canonical_query(&pairs(&vector["body_params"])), body, "{name}");
        }
        if let Some(signed) = vector["signed_query"].as_str() {
            let mut query = pairs(&vector["query_params"]);
            query.sort();
            query.push(("Signature".to_owned(), signature));
            assert_eq!(encode::query(&query), signed, "{name}");
        }
    }
}

#[test]
fn acs3_signs_every_vector_step_by_step() {
    for vector in vectors(include_str!("vectors/signature-v3-vectors.json")) {
        let name = text(&vector, "name");
        let query = pairs(&vector["query_params"]);
        let signed: Vec<&str> = text(&vector, "signed_headers").split(';').collect();
        let headers: BTreeMap<String, String> = pairs(&vector["headers"])
            .into_iter()
            .map(|(name, value)| (name.to_lowercase(), value))
            .filter(|(name, _)| signed.contains(&name.as_str()))
            .collect();
        let body_hash = acs3::sha256_hex(text(&vector, "body").as_bytes());
        assert_eq!(body_hash, text(&vector, "hashed_payload"), "{name}");
        assert_eq!(encode::canonical_query(&query), text(&vector, "canonical_query"), "{name}");
        let request =
            acs3::canonical_request(text(&vector, "method"), &query, &headers, &body_hash);
        assert_eq!(request, text(&vector, "canonical_request"), "{name}");
        let to_sign = acs3::string_to_sign(&request);
        assert_eq!(to_sign, text(&vector, "string_to_sign"), "{name}");
        let signature = acs3::signature(text(&vector, "access_key_secret"), &to_sign);
        assert_eq!(signature, text(&vector, "signature"), "{name}");
        let authorization =
            acs3::authorization(text(&vector, "access_key_id"), &headers, &signature);
        assert_eq!(authorization, text(&vector, "authorization"), "{name}");
    }
}
