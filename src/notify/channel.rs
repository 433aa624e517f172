//! One message to one channel: the request as each vendor documents it, and whether its answer is a yes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud::text::one_line;
use cloud::{Redactor, Secret};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use sha2::Sha256;

use super::words::text;
use super::{ChannelKind, Message, NotifySpec, Severity};

/// A channel's answer is some words.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Why a message did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) why: String,
    /// Another attempt may end otherwise.
    pub(super) may_pass: bool,
}

/// A request, ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    /// Secret as a whole.
    pub(super) url: Secret,
    pub(super) body: Value,
    pub(super) headers: Vec<(&'static str, String)>,
}

/// The request for `message`, made at `now_millis` (Unix milliseconds).
pub(super) fn request(spec: &NotifySpec, message: &Message, now_millis: i64) -> Request {
    let said = text(message, spec);
    let secs = now_millis / 1_000;
    let plain = |body: Value| Request { url: spec.url.clone(), body, headers: Vec::new() };
    match (spec.kind, &spec.secret) {
        // A letter is no request: `mail` sends it.
        (ChannelKind::Slack | ChannelKind::Email, _) => plain(json!({ "text": said })),
        (ChannelKind::WeCom, _) => plain(json!({ "msgtype": "text", "text": { "content": said } })),
        (ChannelKind::DingTalk, secret) => {
            let body = json!({ "msgtype": "text", "text": { "content": said } });
            let Some(secret) = secret else { return plain(body) };
            // The secret signs a text of the time stamp and itself.
            let signed = format!("{now_millis}\n{}", secret.expose());
            let sign = STANDARD.encode(hmac(secret.expose().as_bytes(), signed.as_bytes()));
            let sign = utf8_percent_encode(&sign, NON_ALPHANUMERIC);
            let joint = if spec.url.expose().contains('?') { '&' } else { '?' };
            let url = format!("{}{joint}timestamp={now_millis}&sign={sign}", spec.url.expose());
            Request { url: Secret::new(url), ..plain(body) }
        }
        (ChannelKind::Feishu, secret) => {
            let mut body = json!({ "msg_type": "text", "content": { "text": said } });
            if let Some(secret) = secret {
                // The time stamp and the secret are the key, and the signed text is empty.
                let key = format!("{secs}\n{}", secret.expose());
                body["timestamp"] = json!(secs.to_string());
                body["sign"] = json!(STANDARD.encode(hmac(key.as_bytes(), b"")));
            }
            plain(body)
        }
        (ChannelKind::Webhook, secret) => {
            let body = json!({ "text": said, "alerts": alerts(message, spec) });
            let mut request = plain(body);
            request.headers.push(("x-fleetscaler-timestamp", secs.to_string()));
            if let Some(secret) = secret {
                let signed = format!("{secs}.{}", request.body);
                let sign = hmac(secret.expose().as_bytes(), signed.as_bytes());
                let hex: String = sign.iter().map(|byte| format!("{byte:02x}")).collect();
                request.headers.push(("x-fleetscaler-signature", format!("sha256={hex}")));
            }
            request
        }
    }
}

fn alerts(message: &Message, spec: &NotifySpec) -> Value {
    let one = |told: &super::Told| {
        json!({
            "whose": told.news.whose,
            "code": told.news.key.code.name(),
            "about": told.news.key.about,
            "severity": match Severity::of(told.news.key.code) {
                Severity::Critical => "critical",
                Severity::Warning => "warning",
                Severity::Info => "info",
            },
            "is_over": told.news.message.is_none(),
            "is_reminder": told.is_reminder,
            "since": told.since.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "message": told.news.message,
            "runbook_url": spec.runbook_link(told.news.key.code),
            "page_url": spec.page_link(told.news.whose.as_deref()),
        })
    };
    message.news.iter().map(one).collect()
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// Sends it, and reads whether it was taken.
pub(super) async fn send(
    client: &reqwest::Client,
    spec: &NotifySpec,
    request: Request,
) -> Result<(), Refused> {
    let redactor =
        Redactor::new([Some(spec.url.clone()), spec.secret.clone()].into_iter().flatten());
    let passing = |error: reqwest::Error| {
        // The address is a secret: the innermost cause alone is said.
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Refused { why: redactor.line(&one_line(&cause.to_string())), may_pass: true }
    };
    let mut call = client.post(request.url.expose());
    for (name, value) in request.headers {
        call = call.header(name, value);
    }
    let call = call.header("content-type", "application/json").body(request.body.to_string());
    let mut response = call.send().await.map_err(passing)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(passing)? {
        body.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES_MAX - body.len())]);
        if body.len() == ANSWER_BYTES_MAX {
            break;
        }
    }
    let said = redactor.line_of(&body);
    if !status.is_success() {
        let may_pass = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
        return Err(Refused { why: format!("it answered {status}: {said}"), may_pass });
    }
    match taken(spec.kind, &body) {
        true => Ok(()),
        // With status 200, and a code of their own: a wrong signature, too many messages.
        false => {
            Err(Refused { why: format!("it did not take the message: {said}"), may_pass: false })
        }
    }
}

/// Whether an answer with status 200 is a yes.
fn taken(kind: ChannelKind, body: &[u8]) -> bool {
    let code = |name: &str| {
        let answer: Option<Value> = serde_json::from_slice(body).ok();
        answer.and_then(|answer| answer.get(name).and_then(Value::as_i64))
    };
    match kind {
        ChannelKind::DingTalk | ChannelKind::WeCom => code("errcode") == Some(0),
        ChannelKind::Feishu => code("code").or(code("StatusCode")) == Some(0),
        ChannelKind::Slack | ChannelKind::Webhook | ChannelKind::Email => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::now;
    use crate::model::{AlertCode, AlertKey};
    use crate::notify::{News, Told, fixtures};

    fn spec(kind: ChannelKind, url: &str) -> NotifySpec {
        let secret = Some(Secret::new("SECabc".to_owned()));
        NotifySpec { secret, ..fixtures::spec(kind, url) }
    }

    fn message() -> Message {
        let key = AlertKey { code: AlertCode::AtMax, about: String::new() };
        let news = News {
            whose: Some("api".to_owned()),
            key,
            message: Some("short".to_owned()),
            at: now(),
        };
        Message { news: vec![Told { news, is_reminder: false, since: now() }], kept_back: 0 }
    }

    // Signatures made with OpenSSL, by the words of each vendor:
    // printf '1700000000000\nSECabc' | openssl dgst -sha256 -hmac SECabc -binary | base64
    // printf '' | openssl dgst -sha256 -hmac "$(printf '1700000000\nSECabc')" -binary | base64
    const DINGTALK: &str = "jcUpW0QmtKduN03n4JqQ0PBosVjqnM8gU7fIIvsDmCM=";
    const FEISHU: &str = "XprR1de+0SSBnwWyU/4k6x2TL+Q2SJlM5NNEdAv7MWg=";

    #[test]
    fn each_vendor_gets_its_own_signature_and_form() {
        let millis = 1_700_000_000_000;
        let url = "https://oapi.dingtalk.com/robot/send?access_token=T";
        let ding = request(&spec(ChannelKind::DingTalk, url), &message(), millis);
        let sign = utf8_percent_encode(DINGTALK, NON_ALPHANUMERIC);
        assert_eq!(ding.url.expose(), format!("{url}&timestamp={millis}&sign={sign}"));
        assert_eq!(ding.body["msgtype"], "text");
        let feishu =
            request(&spec(ChannelKind::Feishu, "https://open.feishu.cn/x"), &message(), millis);
        assert_eq!(feishu.body["sign"], FEISHU);
        assert_eq!(feishu.body["timestamp"], "1700000000");
        assert!(
            feishu.body["content"]["text"]
                .as_str()
                .is_some_and(|text| text.starts_with("[api] at max"))
        );
        let slack =
            request(&spec(ChannelKind::Slack, "https://hooks.slack.com/x"), &message(), millis);
        assert!(slack.body["text"].is_string());
        let linked = NotifySpec {
            runbook_url: Some("https://docs.example.com/runbook".to_owned()),
            ..spec(ChannelKind::Webhook, "https://ops.example.com/")
        };
        let hook = request(&linked, &message(), millis);
        let alert = &hook.body["alerts"][0];
        assert_eq!(alert["code"], "at_max");
        assert_eq!(alert["runbook_url"], "https://docs.example.com/runbook#at_max");
        assert!(alert["page_url"].is_null());
        let signature = hook.headers.iter().find(|(name, _)| *name == "x-fleetscaler-signature");
        let signed = hmac(b"SECabc", format!("1700000000.{}", hook.body).as_bytes());
        let hex: String = signed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            signature.map(|(_, value)| value.as_str()),
            Some(format!("sha256={hex}").as_str())
        );
    }

    #[test]
    fn a_no_with_status_200_is_a_no() {
        for (kind, body, yes) in [
            (ChannelKind::DingTalk, r#"{"errcode":0,"errmsg":"ok"}"#, true),
            (ChannelKind::DingTalk, r#"{"errcode":310000,"errmsg":"sign not match"}"#, false),
            (ChannelKind::WeCom, r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#, false),
            (ChannelKind::Feishu, r#"{"code":0,"msg":"success"}"#, true),
            (ChannelKind::Feishu, r#"{"StatusCode":0,"StatusMessage":"success"}"#, true),
            (ChannelKind::Feishu, r#"{"code":19021,"msg":"sign match fail"}"#, false),
            (ChannelKind::DingTalk, "<html>log in</html>", false),
            (ChannelKind::Slack, "ok", true),
        ] {
            assert_eq!(taken(kind, body.as_bytes()), yes, "{kind:?} {body}");
        }
    }
}
