//! Runs an actor's own code: panics are caught, orders can interrupt it, its trace is current.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

use tracing::{Instrument, Span};

use super::actor::Fault;
use super::control::Control;
use super::trace::Trace;

/// How a piece of an actor's code ended.
pub(super) enum Outcome {
    Done,
    Failed(String),
    Interrupted,
}

/// The second value tells whether it ever waited. Takes the code pinned: futures are copied into
/// whatever takes them by value, and this is the hot path.
pub(super) fn run<F>(
    control: &Control,
    mut code: Pin<&mut F>,
) -> impl Future<Output = (Outcome, bool)>
where
    F: Future<Output = Result<(), Fault>>,
{
    let mut waited = false;
    poll_fn(move |cx| match catch_unwind(AssertUnwindSafe(|| code.as_mut().poll(cx))) {
        Ok(Poll::Ready(Ok(()))) => Poll::Ready((Outcome::Done, waited)),
        Ok(Poll::Ready(Err(fault))) => {
            Poll::Ready((Outcome::Failed(fault.reason().to_owned()), waited))
        }
        Err(panic) => Poll::Ready((Outcome::Failed(panic_reason(panic.as_ref())), waited)),
        Ok(Poll::Pending) => {
            waited = true;
            control.listen(cx);
            if control.interrupted() {
                Poll::Ready((Outcome::Interrupted, true))
            } else {
                Poll::Pending
            }
        }
    })
}

/// Runs code with its trace current, inside a span.
pub(super) async fn traced<F: Future>(trace: Option<Trace>, span: Span, code: F) -> F::Output {
    let code = code.instrument(span);
    match trace {
        Some(trace) => trace.scope(code).await,
        None => code.await,
    }
}

/// Runs code that does not wait, such as a factory or a view.
pub(super) fn run_now<T>(code: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|panic| panic_reason(panic.as_ref()))
}

fn panic_reason(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a text".to_owned());
    format!("panic: {text}")
}
