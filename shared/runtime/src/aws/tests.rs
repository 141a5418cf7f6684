//! What the SDK makes of a neighbour that fails, over the functions' own client and real sockets, and what repeats itself in process.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::error::SdkError;
use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::Instant;
use url::Url;

use super::*;

fn settings(url: &str) -> AwsSettings {
    let read = |name: &str| match name {
        "AWS_ENDPOINT_URL_DYNAMODB" | "AWS_ENDPOINT_URL_SQS" | "AWS_ENDPOINT_URL_SECRETS_MANAGER" => None,
        "AWS_ENDPOINT_URL" => Some(url.to_owned()),
        "AWS_REGION" => Some("eu-west-1".to_owned()),
        other => Some(other.to_owned()),
    };
    AwsSettings::from_env(&read).unwrap()
}

#[test]
fn builds_clients_from_the_environment() {
    let clients = AwsClients::new(&settings("http://127.0.0.1:1"), &Clock::System).unwrap();
    assert_eq!(clients.sqs.config().region().map(ToString::to_string), Some("eu-west-1".to_owned()));
}

/// What a neighbour does with a request.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Answers,
    /// And then closes the connection, without having said so.
    AnswersAndCloses,
    Is(u16),
    Resets,
    IsSilent,
    BreaksOff,
    TalksNonsense,
    /// A body that no service of AWS gives.
    NeverStops,
}

/// A neighbour that has its turns planned.
#[derive(Debug, Clone)]
struct Neighbour {
    turns: Arc<Mutex<VecDeque<Turn>>>,
    /// On which connection each request came.
    came: Arc<Mutex<Vec<usize>>>,
    closed: UnboundedSender<()>,
}

impl Neighbour {
    /// On a thread of its own: whoever hears that a connection was closed has then been told so by the system as well.
    fn start(turns: &[Turn]) -> (Self, SocketAddr, UnboundedReceiver<()>) {
        let (closed, hears) = unbounded_channel();
        let neighbour =
            Self { turns: Arc::new(Mutex::new(turns.iter().copied().collect())), came: Arc::default(), closed };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let (address, server) = (listener.local_addr().unwrap(), neighbour.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let (listener, mut serving) = (TcpListener::from_std(listener).unwrap(), JoinSet::new());
                for connection in 1.. {
                    let (stream, _) = listener.accept().await.unwrap();
                    serving.spawn(server.clone().serve(stream, connection));
                }
            });
        });
        (neighbour, address, hears)
    }

    async fn serve(self, mut stream: TcpStream, connection: usize) {
        while read_request(&mut stream).await.is_some() {
            self.came.lock().unwrap().push(connection);
            let turn = self.turns.lock().unwrap().pop_front();
            match turn.expect("another turn") {
                Turn::Answers => respond(&mut stream, 200, 2, b"{}").await,
                Turn::Is(status) => respond(&mut stream, status, 2, b"{}").await,
                Turn::AnswersAndCloses => {
                    respond(&mut stream, 200, 2, b"{}").await;
                    break;
                }
                Turn::Resets => {
                    stream.set_zero_linger().unwrap();
                    break;
                }
                Turn::IsSilent => std::future::pending().await,
                Turn::BreaksOff => {
                    respond(&mut stream, 200, 200, b"{\"Item\":").await;
                    break;
                }
                Turn::TalksNonsense => {
                    stream.write_all(b"220 mail.example.com\r\n").await.unwrap();
                    break;
                }
                Turn::NeverStops => {
                    respond(&mut stream, 200, usize::MAX >> 1, b"{").await;
                    while stream.write_all(&[b' '; 65_536]).await.is_ok() {}
                    break;
                }
            }
        }
        drop(stream);
        let _ = self.closed.send(());
    }
}

async fn respond(stream: &mut TcpStream, status: u16, length: usize, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status} Said\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
}

async fn read_request(stream: &mut TcpStream) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap_or("0");
        if body.len() >= length.trim().parse().unwrap() {
            return Some(());
        }
    }
}

/// A call, and of what kind its failure was.
async fn ask(clients: &AwsClients) -> Result<(), &'static str> {
    match clients.dynamodb.describe_table().table_name("t").send().await {
        Ok(_) => Ok(()),
        Err(SdkError::DispatchFailure(failure)) if failure.is_timeout() => Err("time-out"),
        Err(SdkError::DispatchFailure(failure)) if failure.is_io() => Err("connection"),
        Err(SdkError::DispatchFailure(_)) => Err("other"),
        Err(SdkError::TimeoutError(_)) => Err("operation's time-out"),
        Err(SdkError::ServiceError(_)) => Err("refused"),
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn what_may_pass_is_asked_for_again_and_nothing_else() {
    use Turn::*;
    let cases: &[(&[Turn], _, &[usize])] = &[
        (&[Answers], Ok(()), &[1]),
        (&[Resets, Answers], Ok(()), &[1, 2]),
        (&[BreaksOff, Answers], Ok(()), &[1, 2]),
        (&[TalksNonsense, Answers], Ok(()), &[1, 2]),
        // The connection is sound, and whoever listens at its other end is asked again.
        (&[Is(503), Answers], Ok(()), &[1, 1]),
        (&[Is(500), Resets, Answers], Ok(()), &[1, 1, 2]),
        (&[Is(503), Is(503), Is(503)], Err("refused"), &[1, 1, 1]),
        (&[Resets, Resets, Resets], Err("connection"), &[1, 2, 3]),
        // A connection that owes an answer is given up.
        (&[IsSilent, Answers], Ok(()), &[1, 2]),
        (&[Is(400)], Err("refused"), &[1]),
        (&[NeverStops], Err("other"), &[1]),
    ];
    let mut running = JoinSet::new();
    for (turns, expected, connections) in cases {
        let (neighbour, address, _hears) = Neighbour::start(turns);
        let clients = AwsClients::new(&settings(&format!("http://{address}")), &Clock::System).unwrap();
        running.spawn(async move {
            assert_eq!(ask(&clients).await, *expected, "{turns:?}");
            assert_eq!(*neighbour.came.lock().unwrap(), *connections, "{turns:?}");
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_while_nobody_used_it_is_not_noticed() {
    let (neighbour, address, mut hears) = Neighbour::start(&[Turn::AnswersAndCloses, Turn::Answers, Turn::Answers]);
    let clients = AwsClients::new(&settings(&format!("http://{address}")), &Clock::System).unwrap();
    ask(&clients).await.unwrap();
    hears.recv().await.unwrap();
    ask(&clients).await.unwrap();
    ask(&clients).await.unwrap();
    assert_eq!(*neighbour.came.lock().unwrap(), [1, 2, 2], "each was asked once");
}

#[tokio::test]
async fn nobody_there_is_a_connection_that_failed() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let clients = AwsClients::new(&settings(&format!("http://{address}")), &Clock::System).unwrap();
    assert_eq!(ask(&clients).await, Err("connection"));
}

/// A request as it arrived, and when.
type Heard = Vec<(std::time::Duration, String, Bytes)>;

/// What AWS hears in process, from this seed, if it refuses the first requests and leaves the others without an answer.
async fn heard(seed: u64, refused: usize) -> Heard {
    const URL: &str = "http://127.0.0.1:2";
    let (heard, began) = (Arc::<Mutex<Heard>>::default(), Instant::now());
    let hears = Arc::clone(&heard);
    let router = Router::new().fallback(move |request: Request| {
        let hears = Arc::clone(&hears);
        async move {
            let (head, body) = request.into_parts();
            let headers = format!("{:?}", head.headers);
            let body = to_bytes(body, usize::MAX).await.unwrap();
            let count = {
                let mut hears = hears.lock().unwrap();
                hears.push((began.elapsed(), headers, body));
                hears.len()
            };
            if count > refused {
                std::future::pending::<()>().await;
            }
            axum::http::StatusCode::SERVICE_UNAVAILABLE
        }
    });
    let inside = wire::Inside::new(aws_client().unwrap()).with(&Url::parse(URL).unwrap(), router);
    let clock = Clock::tokio("2026-11-23T09:00:00Z".parse().unwrap());
    let clients = AwsClients::over(&settings(URL), &inside.into(), &clock, &Random::seeded(seed));
    let asked = clients.secrets_manager.put_secret_value().secret_id("s").secret_string("v").send().await;
    assert!(matches!(asked.unwrap_err(), SdkError::TimeoutError(_)));
    assert_eq!(began.elapsed(), OPERATION_TIMEOUT);
    std::mem::take(&mut *heard.lock().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_seed_repeats_tokens_pauses_and_times() {
    let first = heard(7, 1).await;
    assert!(first.len() >= 2, "{first:?}");
    assert_eq!(first, heard(7, 1).await);
    let other = heard(8, 1).await;
    assert!(first.iter().zip(&other).all(|(one, other)| one.1 != other.1 && one.2 != other.2), "tokens and ids");
    assert_ne!(first[1].0, other[1].0, "the pause");
    assert!(first[0].1.contains("20261123T090000Z"), "signed by the clock: {}", first[0].1);
}
