//! The live view: charts of load and size, the instances, the daemon's reasons, its calls.

use std::io::Stdout;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::prelude::{Color, Frame, Line, Modifier, Span, Style};
use ratatui::symbols::Marker;
use ratatui::widgets::{Axis, Block, BorderType, Chart, Dataset, GraphType, Paragraph, Wrap};

use super::page::TOKEN;
use super::plain::time;
use super::story::{ShownInstance, Story};
use crate::model::wrap;

/// Quiet colours of the terminal's own palette, which suit dark and light themes.
const CPU: Color = Color::Cyan;
const LOAD: Color = Color::DarkGray;
const SERVING: Color = Color::Green;
const BOOTING: Color = Color::Yellow;
const LEAVING: Color = Color::Red;
const QUIET: Style = Style::new().fg(Color::DarkGray);

/// The terminal, taken over; it is given back when this is dropped, after a panic too.
pub(super) struct Screen(Terminal<CrosstermBackend<Stdout>>);

impl Screen {
    pub(super) fn open() -> std::io::Result<Screen> {
        enable_raw_mode()?;
        execute!(std::io::stdout(), EnterAlternateScreen)?;
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            before(panic);
        }));
        Ok(Screen(Terminal::new(CrosstermBackend::new(std::io::stdout()))?))
    }

    pub(super) fn draw(&mut self, story: &Story) -> std::io::Result<()> {
        self.0.draw(|frame| render(frame, story)).map(drop)
    }

    /// Whether `q`, Esc or Ctrl-C was pressed. In raw mode Ctrl-C is a key like any other.
    pub(super) fn wants_to_quit(&self) -> bool {
        while event::poll(Duration::ZERO).unwrap_or(false) {
            let Ok(Event::Key(key)) = event::read() else { continue };
            let ctrl_c =
                key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            if ctrl_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                return true;
            }
        }
        false
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    // There is nobody to tell if this fails.
    drop(execute!(std::io::stdout(), LeaveAlternateScreen));
    drop(disable_raw_mode());
}

/// Draws everything; 80 × 24 is enough, more shows more.
fn render(frame: &mut Frame<'_>, story: &Story) {
    let area = frame.area();
    let is_tall = area.height >= 28;
    let [head, charts, instances, decisions, calls_area, foot] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Min(8),
        Constraint::Length(4),
        Constraint::Length(if is_tall { 7 } else { 5 }),
        Constraint::Length(if is_tall { 5 } else { 3 }),
        Constraint::Length(1),
    ])
    .areas(area);
    header(frame, head, story);
    let [left, right] =
        Layout::horizontal([Constraint::Percentage(60), Constraint::Percentage(40)]).areas(charts);
    cpu_chart(frame, left, story);
    size_chart(frame, right, story);
    fleet(frame, instances, story);
    lines(frame, decisions, story);
    call_list(frame, calls_area, story);
    let line = Line::from(vec![
        Span::styled("q quits · page ", QUIET),
        Span::raw(story.page.as_str()),
        Span::styled(format!(" (token {TOKEN}) · simulated cloud and load"), QUIET),
    ]);
    frame.render_widget(Paragraph::new(line), foot);
}

fn header(frame: &mut Frame<'_>, area: Rect, story: &Story) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let width = area.width.saturating_sub(44).clamp(10, 40);
    let done = (story.part() * f64::from(width)).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 40")]
    let done = done as usize;
    let bar = format!(
        "{}{}",
        "━".repeat(done),
        "─".repeat(usize::from(width) - done.min(usize::from(width)))
    );
    let title = Line::from(vec![
        Span::styled(" fleetscaler demo ", bold),
        Span::styled(format!("{} ", time(story.elapsed)), QUIET),
        Span::styled(bar, Style::new().fg(CPU)),
        Span::styled(format!(" {}", time(story.duration)), QUIET),
    ]);
    let now = Line::from(vec![
        Span::styled(story.now.clone(), bold),
        Span::raw("  "),
        Span::raw(story.because.clone()),
    ]);
    let [first, rest] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(area);
    frame.render_widget(Paragraph::new(title), first);
    let rest = Rect { x: rest.x + 1, width: rest.width.saturating_sub(2), ..rest };
    frame.render_widget(Paragraph::new(now).wrap(Wrap { trim: true }), rest);
}

fn framed(title: &str) -> Block<'_> {
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(QUIET)
        .title(Span::styled(format!(" {title} "), Style::new().add_modifier(Modifier::BOLD)))
}

fn x_axis(story: &Story) -> Axis<'static> {
    Axis::default().style(QUIET).bounds([0.0, story.duration.as_secs_f64()])
}

fn cpu_chart(frame: &mut Frame<'_>, area: Rect, story: &Story) {
    let end = story.duration.as_secs_f64();
    let cpu: Vec<(f64, f64)> = story.points.iter().map(|p| (p.secs, p.cpu)).collect();
    let load: Vec<(f64, f64)> = story.points.iter().map(|p| (p.secs, p.load)).collect();
    let (above, below) = ([(0.0, 75.0), (end, 75.0)], [(0.0, 30.0), (end, 30.0)]);
    let line = |name: &'static str, color, data| {
        Dataset::default()
            .name(name)
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(Style::new().fg(color))
            .data(data)
    };
    let bound = |data| {
        Dataset::default().marker(Marker::Dot).graph_type(GraphType::Line).style(QUIET).data(data)
    };
    let title = match story.points.last() {
        Some(point) => format!("CPU {:.0} %, load {:.0} %", point.cpu, point.load),
        None => "CPU".to_owned(),
    };
    let labels = ["0", "30", "75", "100"].map(|label| Span::styled(label, QUIET));
    let chart = Chart::new(vec![
        bound(&above),
        bound(&below),
        line("load", LOAD, &load),
        line("CPU", CPU, &cpu),
    ])
    .block(framed(&title))
    .legend_position(None)
    .x_axis(x_axis(story))
    .y_axis(Axis::default().style(QUIET).bounds([0.0, 100.0]).labels([
        labels[0].clone(),
        Span::styled("50", QUIET),
        labels[3].clone(),
    ]));
    frame.render_widget(chart, area);
}

fn size_chart(frame: &mut Frame<'_>, area: Rect, story: &Story) {
    let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let serving: Vec<(f64, f64)> =
        story.points.iter().map(|p| (p.secs, count(p.serving))).collect();
    let coming: Vec<(f64, f64)> =
        story.points.iter().map(|p| (p.secs, count(p.serving + p.booting))).collect();
    let line = |color, data| {
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(Style::new().fg(color))
            .data(data)
    };
    let title = match story.points.last() {
        Some(point) => format!("{} serving, {} booting", point.serving, point.booting),
        None => "instances".to_owned(),
    };
    let label = |text: &'static str| Span::styled(text, QUIET);
    let chart = Chart::new(vec![line(BOOTING, &coming), line(SERVING, &serving)])
        .block(framed(&title))
        .legend_position(None)
        .x_axis(x_axis(story))
        .y_axis(Axis::default().style(QUIET).bounds([0.0, 10.5]).labels([
            label("0"),
            label("5"),
            label("10"),
        ]));
    frame.render_widget(chart, area);
}

fn colour(seen: &ShownInstance) -> Color {
    match seen.status.as_str() {
        "Running" => SERVING,
        "Pending" | "Starting" => BOOTING,
        _ => LEAVING,
    }
}

/// The fleet as blocks, the oldest first: number, and age in seconds below it.
fn fleet(frame: &mut Frame<'_>, area: Rect, story: &Story) {
    let blocks = story.instances.iter().map(|seen| {
        let number = seen.id.trim_start_matches("i-bp1emu").trim_start_matches('0');
        Span::styled(format!(" {number:>3} █ "), Style::new().fg(colour(seen)))
    });
    let ages = story.instances.iter().map(|seen| {
        let zone = seen.zone.rsplit('-').next().unwrap_or_default();
        Span::styled(format!(" {zone}{:>3}s ", seen.age.as_secs()), QUIET)
    });
    let rows = vec![Line::from(blocks.collect::<Vec<_>>()), Line::from(ages.collect::<Vec<_>>())];
    frame.render_widget(Paragraph::new(rows).block(framed("instances, oldest first")), area);
}

fn lines(frame: &mut Frame<'_>, area: Rect, story: &Story) {
    let room = usize::from(area.height.saturating_sub(2));
    // ` 1:05 `, and the frame.
    let width = usize::from(area.width.saturating_sub(2 + 6)).max(20);
    let mut newest: Vec<Line<'_>> = Vec::new();
    for line in story.decisions.iter().rev().take(room) {
        let style = if line.acts { Style::new().add_modifier(Modifier::BOLD) } else { QUIET };
        for (n, part) in wrap(&line.text, width).into_iter().enumerate() {
            let when = if n == 0 { format!("{} ", time(line.elapsed)) } else { " ".repeat(6) };
            newest.push(Line::from(vec![Span::styled(when, QUIET), Span::styled(part, style)]));
        }
    }
    frame.render_widget(Paragraph::new(newest).block(framed("what it decides, and why")), area);
}

fn call_list(frame: &mut Frame<'_>, area: Rect, story: &Story) {
    let room = usize::from(area.height.saturating_sub(2));
    let newest: Vec<Line<'_>> = story
        .calls
        .iter()
        .rev()
        .take(room)
        .map(|call| {
            let style = if call.ok { Style::new() } else { Style::new().fg(LEAVING) };
            Line::from(Span::styled(format!(" {}", call.text), style))
        })
        .collect();
    frame.render_widget(Paragraph::new(newest).block(framed("signed ECS calls")), area);
}

#[cfg(test)]
mod tests {
    use ratatui::backend::TestBackend;

    use super::super::story::{ChartPoint, DecisionLine};
    use super::*;

    #[test]
    fn the_view_fits_80_by_24_and_shows_the_story() {
        let mut story = Story::new(Duration::from_secs(120), "http://127.0.0.1:65535/".to_owned());
        story.elapsed = Duration::from_secs(42);
        story.now = "scaling out 4 → 6".to_owned();
        story.because = "cpu = 88 > 75 for 2 samples: add 2; max = 6 is reached; cpu was measured \
                         with 4 in service and is answered"
            .to_owned();
        story.points = (0..42)
            .map(|n| ChartPoint {
                secs: f64::from(n),
                load: 40.0,
                cpu: 88.0,
                serving: 4,
                booting: 2,
            })
            .collect();
        story.instances = vec![ShownInstance {
            id: "i-bp1emu000000000007".to_owned(),
            status: "Running".to_owned(),
            zone: "cn-hangzhou-h".to_owned(),
            age: Duration::from_secs(17),
        }];
        let long = "stays at 4 (recommended 6): cpu was measured with 4 in service and is answered \
                    by the 6 of now";
        let line = DecisionLine { elapsed: story.elapsed, text: long.to_owned(), acts: true };
        story.decisions.push_back(line);
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a terminal");
        terminal.draw(|frame| render(frame, &story)).expect("drawn");
        let screen = terminal.backend().to_string();
        for text in [
            "fleetscaler demo",
            "0:42",
            "scaling out 4 → 6",
            "CPU 88 %",
            "4 serving, 2 booting",
            "7 █",
            "17s",
            "and is answered ",
            "0:42 stays at 4",
            "by the 6 of now",
            "q quits · page http://127.0.0.1:65535/ (token demo) · simulated cloud and load",
            "signed ECS calls",
        ] {
            assert!(screen.contains(text), "{text}:\n{screen}");
        }
    }
}
