//! ListUsers in a workspace of a hundred thousand: the first page and the last.

use std::time::Instant;

use rolecall::grpc::pb::v1;
use tonic::Request;
use tonic::transport::Endpoint;
use v1::user_service_client::UserServiceClient;

use crate::report::{Report, median};
use crate::server::Server;
use crate::{Place, Result, seed};

const PAGE: i32 = 200;
const ROUNDS: usize = 101;

pub async fn measure(report: &mut Report, place: &Place) -> Result<()> {
    seed::plant_sessions_of_crowd(place, PAGE as u64).await?;
    let server = Server::rolecall(&place.url, &place.mail(), &[])?;
    let channel = Endpoint::from_shared(format!("http://{}", server.address))?.tcp_nodelay(true).connect().await?;
    let mut client = UserServiceClient::new(channel).max_decoding_message_size(16 << 20);
    let bearer = format!("Bearer {}", seed::token(seed::admin(place.sessions)));
    let request = |page_token: &str| -> Result<Request<v1::ListUsersRequest>> {
        let message = v1::ListUsersRequest { page_size: PAGE, page_token: page_token.to_owned(), ..Default::default() };
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", bearer.parse()?);
        Ok(request)
    };
    let (mut last, mut seen) = (String::new(), 0);
    loop {
        let page = client.list_users(request(&last)?).await?.into_inner();
        seen += page.users.len() as u64;
        if seen + PAGE as u64 > seed::CROWD || page.next_page_token.is_empty() {
            break;
        }
        last = page.next_page_token;
    }
    let (mut first_times, mut last_times) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for (token, times) in [("", &mut first_times), (last.as_str(), &mut last_times)] {
            let begin = Instant::now();
            client.list_users(request(token)?).await?;
            times.push(begin.elapsed().as_secs_f64() * 1e3);
        }
    }
    report.note(format!(
        "{}, ListUsers of {PAGE}, who had 8 sessions each, among {seen}: the first page {:.2} ms, the last {:.2} ms (medians \
         of {ROUNDS})",
        place.database,
        median(first_times),
        median(last_times)
    ));
    Ok(())
}
