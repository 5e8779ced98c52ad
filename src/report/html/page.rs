//! The frame of every page: head, styles, and a policy that forbids the browser any request.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Puts a body into the frame.
pub(in super::super) fn page(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; img-src data:; style-src 'unsafe-inline'";
                title { (title) " · webemotion" }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body { main { (body) } }
        }
    }
}
