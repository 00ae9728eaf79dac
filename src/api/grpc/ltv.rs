//! `pb.LTVService`: the documented call.

use tonic::{Request, Response, Status};

use super::Server;
use super::pb::ltv_service_server::LtvService;
use super::pb::{LtvRequest, LtvResponse};
use crate::actors::value::Ask;
use crate::api::value::common;

#[tonic::async_trait]
impl LtvService for Server {
    async fn predict_ltv(
        &self,
        request: Request<LtvRequest>,
    ) -> Result<Response<LtvResponse>, Status> {
        let account = common::account(&self.value, request.metadata().as_ref(), None)?.into_owned();
        let LtvRequest { customer_id, spend, engagement_score } = request.into_inner();
        common::check_customer("customer_id", &customer_id)?;
        let hint = common::hint(spend, engagement_score)?;
        let ask = Ask { hint, explain: true, ..Ask::of(customer_id) };
        let answer = self.value.predict(&account, &ask).await.map_err(common::failed)?;
        let serving = self.value.serving(&account).await.map_err(common::failed)?;
        Ok(Response::new(LtvResponse {
            predicted_ltv: answer.forecast.value,
            confidence_score: answer.forecast.confidence,
            explanation: common::explanation(&answer, &serving),
        }))
    }
}
