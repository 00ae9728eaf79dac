//! Runs an actor's own code: panics are caught, orders can interrupt it, its trace is current.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::task::Poll;

use futures_util::FutureExt;
use tracing::Span;

use super::actor::Fault;
use super::control::Control;
use super::trace::Trace;

/// How a piece of an actor's code ended.
pub(super) enum Outcome {
    Done,
    Failed(String),
    Interrupted,
}

/// The second value tells whether it ever waited.
pub(super) async fn run<F>(
    control: &Control,
    trace: Option<Trace>,
    span: Span,
    code: F,
) -> (Outcome, bool)
where
    F: Future<Output = Result<(), Fault>>,
{
    let mut code = pin!(AssertUnwindSafe(code).catch_unwind());
    let mut waited = false;
    let traced = trace.is_some() || !span.is_disabled();
    let outcome = poll_fn(|cx| {
        let polled = if traced {
            let _entered = span.enter();
            match trace {
                Some(trace) => trace.enter(|| code.as_mut().poll(cx)),
                None => code.as_mut().poll(cx),
            }
        } else {
            code.as_mut().poll(cx)
        };
        match polled {
            Poll::Ready(Ok(Ok(()))) => Poll::Ready(Outcome::Done),
            Poll::Ready(Ok(Err(fault))) => Poll::Ready(Outcome::Failed(fault.reason().to_owned())),
            Poll::Ready(Err(panic)) => Poll::Ready(Outcome::Failed(panic_reason(panic.as_ref()))),
            Poll::Pending => {
                waited = true;
                control.listen(cx);
                if control.interrupted() {
                    Poll::Ready(Outcome::Interrupted)
                } else {
                    Poll::Pending
                }
            }
        }
    })
    .await;
    (outcome, waited)
}

/// Runs code that does not wait, such as a factory or a view.
pub(super) fn run_now<T>(code: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(AssertUnwindSafe(code)).map_err(|panic| panic_reason(panic.as_ref()))
}

fn panic_reason(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a text".to_owned());
    format!("panic: {text}")
}
