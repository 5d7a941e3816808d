//! Progress on stderr: one calm line a step. Bars only on a terminal; elsewhere, a line when a step
//! is done.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// One step of a command.
#[derive(Debug)]
pub struct Step {
    bar: ProgressBar,
    name: &'static str,
    quiet: bool,
}

impl Step {
    /// Begins a step of `total` things; 0 if nobody knows how many.
    pub fn begin(name: &'static str, total: u64) -> Self {
        let quiet = !std::io::stderr().is_terminal();
        let target = if quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(8)
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let template = match total {
            0 => "  {spinner} {prefix:<10} {msg}",
            _ => "  {spinner} {prefix:<10} {bar:28} {human_pos}/{human_len} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸ "));
        }
        bar.set_prefix(name);
        if !quiet {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Self { bar, name, quiet }
    }

    /// So many things are done.
    pub fn at(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// What is going on.
    pub fn say(&self, message: impl Into<String>) {
        self.bar.set_message(message.into());
    }

    /// Ends the step with what came of it.
    pub fn done(self, message: &str) {
        self.bar.finish_and_clear();
        let mark = if self.quiet { " " } else { "✓" };
        // Nobody to tell if stderr is closed.
        let _ = writeln!(std::io::stderr(), "  {mark} {:<10} {message}", self.name);
    }
}

/// `1 object`, `1,000 objects`.
pub fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", HumanCount(number))
}
