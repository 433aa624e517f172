//! One message by e-mail, over SMTP.

use std::time::Duration;

use cloud::Redactor;
use cloud::text::one_line;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message as Letter};
use lettre::transport::smtp::Error;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::channel::Refused;
use super::words::{subject, text};
use super::{Message, NotifySpec};

/// The addresses of the letters of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSpec {
    pub from: Mailbox,
    /// At least one.
    pub to: Vec<Mailbox>,
}

/// Sends `message` to all of `mail`, within `timeout`.
pub(super) async fn send(
    spec: &NotifySpec,
    mail: &MailSpec,
    message: &Message,
    timeout: Duration,
) -> Result<(), Refused> {
    let letter = letter(spec, mail, message)?;
    let url = spec.url.expose();
    // The address has the password in it.
    let bad = |_| last("its address is no SMTP server's".to_owned());
    let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(bad)?;
    let transport = transport.build();
    let redactor = Redactor::new([spec.url.clone()].into_iter().chain(password(url)));
    let said = |error: &Error| {
        let mut cause: &dyn std::error::Error = error;
        let mut why = error.to_string();
        while let Some(inner) = cause.source() {
            cause = inner;
            // Some causes repeat the next one in their own words.
            let inner = inner.to_string();
            if !why.contains(&inner) {
                why = format!("{why}: {inner}");
            }
        }
        redactor.line(&one_line(&why))
    };
    // The transport's own time-out is one for the connection alone.
    match tokio::time::timeout(timeout, transport.send(letter)).await {
        Ok(Ok(_)) => Ok(()),
        Err(_) => {
            let why = format!("the server did not take it within {} s", timeout.as_secs());
            Err(Refused { why, may_pass: true })
        }
        Ok(Err(error)) => {
            // What is no answer of the server (no connection, no time) may pass, too.
            Err(Refused { why: said(&error), may_pass: !error.is_permanent() })
        }
    }
}

/// The password in the address of a server.
fn password(url: &str) -> Option<cloud::Secret> {
    let url = url.parse::<reqwest::Url>().ok()?;
    let password = percent_encoding::percent_decode_str(url.password()?).decode_utf8().ok()?;
    Some(cloud::Secret::new(password.into_owned()))
}

fn last(why: String) -> Refused {
    Refused { why, may_pass: false }
}

fn letter(spec: &NotifySpec, mail: &MailSpec, message: &Message) -> Result<Letter, Refused> {
    let mut letter = Letter::builder()
        .from(mail.from.clone())
        .subject(one_line(&subject(message, spec)))
        .header(ContentType::TEXT_PLAIN)
        // No out-of-office notes for a machine.
        .raw_header(auto_submitted());
    for to in &mail.to {
        letter = letter.to(to.clone());
    }
    letter.body(text(message, spec)).map_err(|error| last(error.to_string()))
}

/// `Auto-Submitted`, by RFC 3834.
fn auto_submitted() -> lettre::message::header::HeaderValue {
    let name = lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted");
    lettre::message::header::HeaderValue::new(name, "auto-generated".to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    use super::*;
    use crate::model::fixtures::now;
    use crate::model::{AlertCode, AlertKey};
    use crate::notify::{ChannelKind, Language, News, Told, fixtures};

    fn spec(url: &str, language: Language) -> NotifySpec {
        let mailbox = |address: &str| address.parse::<Mailbox>().expect("an address");
        let to = ["ops@example.com", "Mei <mei@example.com>"].map(mailbox).to_vec();
        let from = mailbox("fleetscaler <fleetscaler@example.com>");
        NotifySpec {
            mail: Some(MailSpec { from, to }),
            language,
            ..fixtures::spec(ChannelKind::Email, url)
        }
    }

    fn message(about: &str) -> Message {
        let key = AlertKey { code: AlertCode::AtMax, about: about.to_owned() };
        let message = Some("max = 20 is reached".to_owned());
        let news = News { whose: Some("web".to_owned()), key, message, at: now() };
        Message { news: vec![Told { news, is_reminder: false, since: now() }], kept_back: 0 }
    }

    /// A server that takes one letter, with what it answers to `MAIL`; returns its address, and the lines that it got.
    async fn server(mail: &'static str) -> (String, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let lines = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a client");
            let (read, mut write) = stream.into_split();
            let mut read = BufReader::new(read).lines();
            let mut lines = Vec::new();
            let mut is_data = false;
            write.write_all(b"220 mail.example.com\r\n").await.expect("sent");
            while let Ok(Some(line)) = read.next_line().await {
                let answer = match line.split(' ').next().unwrap_or_default() {
                    "." => Some("250 taken"),
                    _ if is_data => None,
                    "EHLO" => Some("250-mail.example.com\r\n250 AUTH PLAIN LOGIN"),
                    "AUTH" => Some("235 welcome"),
                    "MAIL" => Some(mail),
                    "DATA" => Some("354 go on"),
                    _ => Some("250 ok"),
                };
                is_data = line == "DATA" || (is_data && line != ".");
                lines.push(line);
                if let Some(answer) = answer {
                    write.write_all(format!("{answer}\r\n").as_bytes()).await.expect("sent");
                }
            }
            lines
        });
        (address, lines)
    }

    async fn sent(
        mail: &'static str,
        about: &str,
        language: Language,
    ) -> (Result<(), Refused>, Vec<String>) {
        let (address, lines) = server(mail).await;
        let spec = spec(&format!("smtp://fleetscaler:T0PSECRET@{address}"), language);
        let mail = spec.mail.clone().expect("it has one");
        let result = super::send(&spec, &mail, &message(about), Duration::from_secs(30)).await;
        (result, lines.await.expect("lines"))
    }

    #[tokio::test]
    async fn a_letter_goes_to_everybody_with_its_subject_and_its_text() {
        let (result, lines) = sent("250 ok", "", Language::English).await;
        assert_eq!(result, Ok(()));
        let all = lines.join("\n");
        for line in [
            "MAIL FROM:<fleetscaler@example.com>",
            "RCPT TO:<ops@example.com>",
            "RCPT TO:<mei@example.com>",
            "Subject: [web] at max",
            "Auto-Submitted: auto-generated",
            "max = 20 is reached",
        ] {
            assert!(all.contains(line), "{line}\n{all}");
        }
        let (result, lines) = sent("250 ok", "", Language::Chinese).await;
        assert_eq!(result, Ok(()));
        assert!(lines.iter().any(|line| line.starts_with("Subject: =?utf-8?b?")), "{lines:?}");
    }

    #[tokio::test]
    async fn nothing_that_an_alert_names_becomes_a_header() {
        let (result, lines) =
            sent("250 ok", "x\r\nBcc: evil@example.com\r\n\r\nhello", Language::English).await;
        assert_eq!(result, Ok(()));
        let head: Vec<&String> = lines.iter().take_while(|line| !line.is_empty()).collect();
        assert!(!head.iter().any(|line| line.starts_with("Bcc")), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("RCPT TO:<evil")), "{lines:?}");
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let silent = spec(&format!("smtp://{address}"), Language::English);
        let mail = silent.mail.clone().expect("it has one");
        let sent = super::send(&silent, &mail, &message(""), Duration::from_millis(200)).await;
        let refused = sent.expect_err("nobody answers");
        assert!(refused.may_pass && refused.why.contains("did not take it"), "{refused:?}");
    }

    #[tokio::test]
    async fn a_refusal_for_good_is_told_from_one_that_passes_and_names_no_secret() {
        let (result, _) = sent("550 T0PSECRET is not welcome", "", Language::English).await;
        let refused = result.expect_err("refused");
        assert!(!refused.may_pass && refused.why.contains("not welcome"), "{refused:?}");
        assert!(!refused.why.contains("T0PSECRET"), "{refused:?}");
        let (result, _) = sent("451 later", "", Language::English).await;
        assert!(result.expect_err("refused").may_pass);
        let nobody = spec("smtp://127.0.0.1:9", Language::English);
        let mail = nobody.mail.clone().expect("it has one");
        let gone = super::send(&nobody, &mail, &message(""), Duration::from_secs(30)).await;
        assert!(gone.expect_err("nobody").may_pass);
    }
}
