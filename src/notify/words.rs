//! What a message says, in English and in Chinese: what, where, since when; what is done about it; what a
//! person should do. Pure.

use super::{Message, NotifySpec, Severity, Told};
use crate::model::AlertCode;

/// The language of a channel. The details of an alert are English in both: they name keys and codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    Chinese,
}

/// The message as one text.
pub(super) fn text(message: &Message, spec: &NotifySpec) -> String {
    let mut parts: Vec<String> = message.news.iter().map(|told| one(told, spec)).collect();
    if message.kept_back > 0 {
        parts.push(match spec.language {
            Language::English => format!(
                "({} earlier messages were kept back: max_per_hour = {})",
                message.kept_back, spec.max_per_hour
            ),
            Language::Chinese => {
                format!(
                    "（此前有 {} 条消息因 max_per_hour = {} 未发送）",
                    message.kept_back, spec.max_per_hour
                )
            }
        });
    }
    parts.join("\n\n")
}

/// The message in one line: its first alert, and how many more there are.
pub(super) fn subject(message: &Message, spec: &NotifySpec) -> String {
    let text = text(message, spec);
    let first = text.lines().next().unwrap_or("fleetscaler");
    let more = message.news.len().saturating_sub(1);
    match (more, spec.language) {
        (0, _) => first.to_owned(),
        (_, Language::English) => format!("{first}, and {more} more"),
        (_, Language::Chinese) => format!("{first}（另有 {more} 条）"),
    }
}

fn one(told: &Told, spec: &NotifySpec) -> String {
    let Told { news, is_reminder, since } = told;
    let code = news.key.code;
    let place = news.whose.as_deref().unwrap_or("fleetscaler");
    let about =
        if news.key.about.is_empty() { String::new() } else { format!(" {}", news.key.about) };
    let time = since.format("%H:%M UTC");
    let mut lines = match (spec.language, &news.message) {
        (Language::English, None) => {
            vec![format!("[{place}] over: {}{about}, since {time}", title(code))]
        }
        (Language::Chinese, None) => {
            vec![format!("【{place}】已恢复：{}{about}，始于 {time}", title_zh(code))]
        }
        (Language::English, Some(message)) => {
            let still = if *is_reminder { "still " } else { "" };
            let bad = severity(Severity::of(code), spec.language);
            vec![
                format!("[{place}] {still}{}{about} since {time} ({bad})", title(code)),
                message.clone(),
                format!("Do: {}", what_to_do(code)),
            ]
        }
        (Language::Chinese, Some(message)) => {
            let still = if *is_reminder { "仍然：" } else { "" };
            let bad = severity(Severity::of(code), spec.language);
            vec![
                format!("【{place}】{still}{}{about}，始于 {time}（{bad}）", title_zh(code)),
                message.clone(),
                format!("处理：{}", what_to_do_zh(code)),
            ]
        }
    };
    // What is over needs no runbook.
    if let Some(link) = spec.runbook_link(code).filter(|_| news.message.is_some()) {
        lines.push(match spec.language {
            Language::English => format!("Runbook: {link}"),
            Language::Chinese => format!("手册：{link}"),
        });
    }
    lines.extend(spec.page_link(news.whose.as_deref()));
    lines.join("\n")
}

fn severity(severity: Severity, language: Language) -> &'static str {
    match (severity, language) {
        (Severity::Critical, Language::English) => "critical",
        (Severity::Warning, Language::English) => "warning",
        (Severity::Info, Language::English) => "info",
        (Severity::Critical, Language::Chinese) => "严重",
        (Severity::Warning, Language::Chinese) => "警告",
        (Severity::Info, Language::Chinese) => "提示",
    }
}

fn title(code: AlertCode) -> &'static str {
    words(code).0
}

fn what_to_do(code: AlertCode) -> &'static str {
    words(code).1
}

fn title_zh(code: AlertCode) -> &'static str {
    words(code).2
}

fn what_to_do_zh(code: AlertCode) -> &'static str {
    words(code).3
}

/// Title and advice, in English and in Chinese. The runbook (`docs/reliability.md`) has more on each.
#[expect(clippy::too_many_lines, reason = "a table of sentences, one for each alert")]
fn words(code: AlertCode) -> (&'static str, &'static str, &'static str, &'static str) {
    match code {
        AlertCode::InventoryDoubt => (
            "listing not believed",
            "nothing as a rule: it looks again; if it lasts, look at the account's permissions",
            "列表不可信",
            "一般无需处理，会再次查看；若持续，请检查账号权限",
        ),
        AlertCode::CloudUnreadable => (
            "cloud cannot be read",
            "look at the network, the key and the vendor's status page",
            "无法读取云",
            "请检查网络、密钥和云厂商状态页",
        ),
        AlertCode::JournalUnavailable => (
            "journal cannot be used",
            "mend the disk or the database; nothing is changed until then",
            "决策记录不可用",
            "请修复磁盘或数据库；在此之前不做任何更改",
        ),
        AlertCode::JournalDamaged => (
            "journal damaged",
            "see which record it is; place its hold again if it was one",
            "决策记录损坏",
            "请查看是哪条记录；若是保持，请重新设置",
        ),
        AlertCode::ConfigRefused => (
            "configuration refused",
            "mend the file and reload; the old configuration goes on",
            "配置被拒绝",
            "请修正文件后 reload；旧配置继续生效",
        ),
        AlertCode::Descriptors => (
            "file descriptors run out",
            "see who holds connections to the daemon; raise LimitNOFILE",
            "文件描述符耗尽",
            "请查看谁占用连接；提高 LimitNOFILE",
        ),
        AlertCode::TickPanicked => (
            "a tick ended in a bug",
            "report it with the log; the next tick tries again",
            "一次决策因程序错误中止",
            "请附日志报告；下一次会重试",
        ),
        AlertCode::OutcomeUnknown => (
            "outcome of a launch not known",
            "nothing as a rule: it is settled by looking",
            "启动结果未知",
            "一般无需处理，会通过查看来确认",
        ),
        AlertCode::AccountStopped => (
            "launches stopped for the account",
            "see to the balance, the quota or the key that the message names",
            "账号停止启动实例",
            "请处理消息中提到的余额、配额或密钥",
        ),
        AlertCode::AccountChanged => (
            "the key is of another account",
            "put the right key back, or run fleetscaler accept-account",
            "密钥属于另一个账号",
            "请换回正确的密钥，或运行 fleetscaler accept-account",
        ),
        AlertCode::LaunchFailures => (
            "launches keep failing",
            "look at the image, the start script and the security group",
            "启动连续失败",
            "请检查镜像、启动脚本和安全组",
        ),
        AlertCode::NoPlace => (
            "sold out everywhere",
            "add instance types or vSwitches",
            "所有位置售罄",
            "请增加实例规格或 vSwitch",
        ),
        AlertCode::BelowMin => (
            "below min",
            "end what the message names: a hold, a brake, failed launches",
            "低于下限",
            "请解除消息中提到的原因：保持、制动或启动失败",
        ),
        AlertCode::AtMax => (
            "at max",
            "raise max and reload, or nothing if this is meant",
            "已达上限",
            "提高 max 后 reload；若为预期，可忽略",
        ),
        AlertCode::Brake => (
            "an hourly limit holds it",
            "raise the limit if the change is meant",
            "受每小时上限限制",
            "若变更符合预期，请提高上限",
        ),
        AlertCode::DeletionRefused => (
            "an instance refuses to be deleted",
            "take its protection off, or tag it scale-protect=true",
            "实例拒绝删除",
            "请取消其保护，或打上 scale-protect=true 标签",
        ),
        AlertCode::ZoneLost => (
            "a zone is silent",
            "look at the vendor's status page; it is replaced elsewhere",
            "可用区失联",
            "请查看云厂商状态页；会在别处补足",
        ),
        AlertCode::SignalMissing => (
            "a signal is missing",
            "mend the signal; the fleet does not shrink meanwhile",
            "信号缺失",
            "请修复信号；其间不会缩容",
        ),
        AlertCode::Unhealthy => (
            "unhealthy instances",
            "nothing if few: they are replaced; else look at the check",
            "实例不健康",
            "少量时无需处理，会被替换；否则请检查健康检查本身",
        ),
        AlertCode::HookFailed => (
            "a hook failed",
            "see what it answered: fleetscaler journal --kind hook",
            "钩子失败",
            "请查看其应答：fleetscaler journal --kind hook",
        ),
        AlertCode::BalancerFailed => (
            "a load balancer needs a person",
            "see what it answers: permission, quota, or somebody who takes instances out",
            "负载均衡需要人工处理",
            "请查看其应答：权限、配额，或有人移除了后端服务器",
        ),
        AlertCode::RenderFailed => (
            "a file for others is out of date",
            "see which step failed; what it names may be gone",
            "生成的文件已过期",
            "请查看失败的步骤；其中的服务器可能已不存在",
        ),
        AlertCode::NotifyFailed => (
            "a channel cannot be reached",
            "fleetscaler notify test says why",
            "消息通道不可用",
            "运行 fleetscaler notify test 查看原因",
        ),
        AlertCode::InstanceStopped => (
            "an instance was stopped by somebody",
            "start it again, or release it",
            "实例被人停止",
            "请重新启动或释放",
        ),
        AlertCode::Stranger => (
            "instances with its tags that are not its own",
            "remove the tags, or run fleetscaler adopt",
            "带有其标签的陌生实例",
            "请移除标签，或运行 fleetscaler adopt",
        ),
        AlertCode::OtherInstallation => (
            "instances of another installation",
            "give the two fleets different names, or run fleetscaler adopt",
            "另一个安装的实例",
            "请给两个集群不同的名字，或运行 fleetscaler adopt",
        ),
        AlertCode::Stray => (
            "an instance that no fleet wants",
            "release it, or configure its fleet again",
            "无主实例",
            "请释放它，或重新配置其集群",
        ),
        AlertCode::Ghost => (
            "an instance that the cloud does not know",
            "nothing: the records follow",
            "云中不存在的实例",
            "无需处理：记录会更新",
        ),
        AlertCode::TagDrift => {
            ("tags were changed", "nothing: they are repaired", "标签被更改", "无需处理：会被修复")
        }
        AlertCode::Silent => (
            "an instance is silent",
            "look whether it, or its exporter, runs",
            "实例没有上报",
            "请检查它或其 exporter 是否在运行",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AlertKey;
    use crate::model::fixtures::now;
    use crate::notify::{ChannelKind, News, fixtures};

    #[test]
    fn a_message_says_what_where_since_when_and_what_to_do() {
        let spec = |language| NotifySpec {
            language,
            page_url: Some("http://127.0.0.1:9177".to_owned()),
            runbook_url: Some("https://docs.example.com/reliability.html".to_owned()),
            ..fixtures::spec(ChannelKind::Slack, "https://example.com/")
        };
        let key = AlertKey { code: AlertCode::AtMax, about: String::new() };
        let news = News {
            whose: Some("api".to_owned()),
            key,
            message: Some("max = 20 is reached, and the rules want 23".to_owned()),
            at: now(),
        };
        let told = |news: News| Message {
            news: vec![Told { news, is_reminder: false, since: now() }],
            kept_back: 0,
        };
        assert_eq!(
            text(&told(news.clone()), &spec(Language::English)),
            "[api] at max since 12:00 UTC (warning)\nmax = 20 is reached, and the rules want 23\n\
             Do: raise max and reload, or nothing if this is meant\n\
             Runbook: https://docs.example.com/reliability.html#at_max\nhttp://127.0.0.1:9177/#/fleet/api"
        );
        let chinese = text(&told(news.clone()), &spec(Language::Chinese));
        assert!(chinese.starts_with("【api】已达上限，始于 12:00 UTC（警告）\n"), "{chinese}");
        assert!(
            chinese.contains("\n手册：https://docs.example.com/reliability.html#at_max\n"),
            "{chinese}"
        );
        let over = text(&told(News { message: None, ..news }), &spec(Language::English));
        assert!(over.starts_with("[api] over: at max, since 12:00 UTC"), "{over}");
        assert!(!over.contains("Runbook"), "{over}");
    }
}
