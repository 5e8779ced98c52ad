//! Frames on a pipe (length, then MessagePack), and the worker's own side of it. Blocking; it knows no process.

use std::io::{Read, Write};

use serde::de::DeserializeOwned;

use super::task::{Answer, Product, Task};
use crate::failure::Failure;

pub(super) fn frame_length(bytes: &[u8]) -> std::io::Result<u32> {
    u32::try_from(bytes.len()).map_err(std::io::Error::other)
}

/// The other side: reads tasks, answers each by `work`, and ends when the input ends. `work` may answer before its end:
/// how far it is, or what else is to be said.
pub fn serve(
    mut input: impl Read,
    mut output: impl Write,
    mut work: impl FnMut(Task, &mut dyn FnMut(Answer)) -> Result<Product, Failure>,
) -> std::io::Result<()> {
    while let Some(task) = read_frame(&mut input)? {
        let mut trouble = None;
        let mut tell = |answer: Answer| {
            if let Err(error) = write_frame(&mut output, &answer) {
                trouble = Some(error);
            }
        };
        let outcome = work(task, &mut tell);
        if let Some(error) = trouble {
            return Err(error);
        }
        let answer = outcome.map_or_else(Answer::Failed, |outcome| Answer::Done(Box::new(outcome)));
        write_frame(&mut output, &answer)?;
    }
    Ok(())
}

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

fn write_frame(output: &mut impl Write, answer: &Answer) -> std::io::Result<()> {
    let bytes = rmp_serde::to_vec_named(answer).map_err(std::io::Error::other)?;
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
        serve(input.as_slice(), &mut output, |_, tell| {
            tell(Answer::Said { text: "by the way".to_owned() });
            tell(Answer::Working { done_ms: 40 });
            Err(Failure::rejected(Reason::NotAVideo, "no video"))
        })
        .unwrap();
        let mut output = output.as_slice();
        for _ in 0..2 {
            assert!(
                matches!(read_frame(&mut output).unwrap(), Some(Answer::Said { text }) if text == "by the way")
            );
            assert!(matches!(read_frame(&mut output).unwrap(), Some(Answer::Working { done_ms: 40 })));
            assert!(matches!(read_frame(&mut output).unwrap(), Some(Answer::Failed(_))));
        }
        assert!(read_frame::<Answer>(&mut output).unwrap().is_none());
    }
}
