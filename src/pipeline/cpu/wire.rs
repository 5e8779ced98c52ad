//! The wire format (messages of a little-endian `u32` length, then MessagePack), and the worker's side of the pipe.
//! Blocking.

use std::io::{Read, Write};

use serde::de::DeserializeOwned;

use super::task::{Message, Product, Task};
use crate::failure::Failure;

/// The length to send before these bytes.
pub(super) fn frame_length(bytes: &[u8]) -> std::io::Result<u32> {
    u32::try_from(bytes.len()).map_err(std::io::Error::other)
}

/// The worker's loop: reads tasks, runs `work` on each and sends its result, until the input ends. Meanwhile `work` may
/// send any message but the last.
///
/// # Errors
/// When the input is not a task, or either pipe breaks.
pub fn serve(
    mut input: impl Read,
    mut output: impl Write,
    mut work: impl FnMut(Task, &mut dyn FnMut(Message)) -> Result<Product, Failure>,
) -> std::io::Result<()> {
    while let Some(task) = read_frame(&mut input)? {
        let mut broken = None;
        let mut send = |message: Message| {
            if let Err(error) = write_frame(&mut output, &message) {
                broken = Some(error);
            }
        };
        let outcome = work(task, &mut send);
        if let Some(error) = broken {
            return Err(error);
        }
        let last = outcome.map_or_else(Message::Failed, |product| Message::Done(Box::new(product)));
        write_frame(&mut output, &last)?;
    }
    Ok(())
}

/// The next message; `None` when the input has ended.
fn read_frame<T: DeserializeOwned>(input: &mut impl Read) -> std::io::Result<Option<T>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
    input.read_exact(&mut bytes)?;
    rmp_serde::from_slice(&bytes).map(Some).map_err(std::io::Error::other)
}

fn write_frame(output: &mut impl Write, message: &Message) -> std::io::Result<()> {
    let bytes = rmp_serde::to_vec_named(message).map_err(std::io::Error::other)?;
    output.write_all(&frame_length(&bytes)?.to_le_bytes())?;
    output.write_all(&bytes)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Reason;

    fn check() -> Task {
        Task::Check { path: "video.mp4".into(), promised_duration_ms: None }
    }

    #[test]
    fn tasks_are_answered_in_turn_until_the_input_ends() {
        let mut input = Vec::new();
        for _ in 0..2 {
            let bytes = rmp_serde::to_vec_named(&check()).unwrap();
            input.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
            input.extend(bytes);
        }
        let mut output = Vec::new();
        serve(input.as_slice(), &mut output, |_, send| {
            send(Message::Said { text: "by the way".to_owned() });
            send(Message::Working { done_ms: 40 });
            Err(Failure::rejected(Reason::NotAVideo, "no video"))
        })
        .unwrap();
        let mut output = output.as_slice();
        for _ in 0..2 {
            assert!(
                matches!(read_frame(&mut output).unwrap(), Some(Message::Said { text }) if text == "by the way")
            );
            assert!(matches!(read_frame(&mut output).unwrap(), Some(Message::Working { done_ms: 40 })));
            assert!(matches!(read_frame(&mut output).unwrap(), Some(Message::Failed(_))));
        }
        assert!(read_frame::<Message>(&mut output).unwrap().is_none());
    }
}
