//! Where fits are logged.

use super::address::HttpUrl;
use super::secret::Secret;
use super::section::section;
use super::setting::{Millis, Seconds};

section! {
    /// An MLflow tracking server.
    Mlflow "mlflow" {
        /// Its URL; empty for none.
        tracking_uri: HttpUrl, "MLFLOW_TRACKING_URI";
        /// The experiment that runs are logged to.
        experiment: String, "MLFLOW_EXPERIMENT_NAME";
        /// A user, with its password, for basic authentication.
        username: String, "MLFLOW_TRACKING_USERNAME";
        password: Secret, "MLFLOW_TRACKING_PASSWORD";
        /// A token, where there is no user.
        token: Secret, "MLFLOW_TRACKING_TOKEN";
        /// Time of one request.
        timeout_ms: Millis ["100" "60000"];
        /// How often a run is tried at most.
        attempts_max: u32 ["1" "20"];
        /// The pause before the second attempt; it doubles with each.
        retry_min_s: Seconds ["0.01" "600"];
    }
}
