//! Fetching from a listener of the test's own that says exactly what it is told to say.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::*;

/// Answers each connection with the next text, then waits until the client goes; returns where, and what was asked.
fn server(answers: Vec<Vec<u8>>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let (tell, asked) = channel();
    let here = address.clone();
    thread::spawn(move || {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut head = String::new();
            let mut lines = BufReader::new(stream.try_clone().expect("one more handle"));
            while lines.read_line(&mut head).is_ok_and(|read| read > 2) {}
            let _ = tell.send(head);
            let text = String::from_utf8_lossy(&answer).replace("HERE", &here);
            let answer = if answer.starts_with(b"HTTP/1.1 30") { text.into_bytes() } else { answer };
            let _ = stream.write_all(&answer);
            let is_endless = answer.ends_with(b"ENDLESS");
            while is_endless && stream.write_all(&[b'x'; 4096]).is_ok() {}
            if answer.ends_with(b"HANG") {
                let _ = lines.read_line(&mut String::new());
            }
        }
    });
    (address, asked)
}

fn request(address: &str) -> Request {
    Request {
        url: format!("http://{address}/metrics"),
        headers: vec![("Accept".to_owned(), "text/plain".to_owned())],
        proxy: None,
        tls: Arc::new(TlsClient::new(crate::config::Tls::default())),
        follow_redirects: true,
        timeout: Duration::from_secs(20),
        body_bytes_max: 1 << 20,
    }
}

fn run(request: &Request) -> Result<Response, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let budget = Budget::default();
    let result = runtime.block_on(fetch(request, None, &budget)).map(|(response, _)| response);
    assert_eq!(budget.0.load(Ordering::Relaxed), 0, "every byte is given back");
    result
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
fn a_body_comes_by_length_in_chunks_or_up_to_the_end() {
    for answer in [
        ok("a 1\n"),
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na \r\n2\r\n1\n\r\n0\r\n\r\n".to_vec(),
        b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\na 1\n".to_vec(),
        [b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), ok("a 1\n")].concat(),
    ] {
        let (address, asked) = server(vec![answer]);
        let response = run(&request(&address)).expect("a good answer");
        assert_eq!((response.body.as_slice(), response.content_type.as_str()), (&b"a 1\n"[..], "text/plain"));
        let asked = asked.recv().expect("it was asked");
        assert!(asked.starts_with(&format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\n")), "{asked}");
        assert!(asked.contains("Accept: text/plain\r\n") && !asked.contains("Connection:"), "{asked}");
    }
}

/// Says one text for each request that comes over one connection, then closes it; any number of connections.
fn patient_server(answers: usize) -> (String, Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let (tell, asked) = channel();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let mut lines = BufReader::new(stream);
            for _ in 0..answers {
                let mut head = String::new();
                while lines.read_line(&mut head).is_ok_and(|read| read > 2) {}
                if head.is_empty() || tell.send(number).is_err() {
                    break;
                }
                let _ = lines.get_mut().write_all(&ok("a 1\n"));
            }
        }
    });
    (address, asked)
}

/// One connection serves several requests; one that was closed meanwhile is dialled again, and nobody notices.
#[test]
fn a_connection_is_used_again_until_it_is_closed() {
    let (address, asked) = patient_server(3);
    let (request, budget) = (request(&address), Budget::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut open = None;
    for _ in 0..5 {
        let (response, left) = runtime.block_on(fetch(&request, open, &budget)).expect("a good answer");
        assert_eq!(response.body, b"a 1\n");
        assert!(left.is_some());
        open = left;
    }
    assert_eq!(asked.try_iter().collect::<Vec<_>>(), [0, 0, 0, 1, 1]);

    // One that leads elsewhere is let go.
    let (other, asked_other) = patient_server(1);
    let elsewhere = Request { url: format!("http://{other}/"), ..request };
    assert!(runtime.block_on(fetch(&elsewhere, open, &budget)).is_ok());
    assert_eq!((asked_other.try_iter().count(), asked.try_iter().count()), (1, 0));
}

/// What comes behind an answer would be taken for the next one.
#[test]
fn a_connection_that_says_more_than_it_was_asked_is_let_go() {
    let behind = [ok("a 1\n"), b"HTTP/1.1 200 OK\r\n".to_vec()].concat();
    let closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\na 1\n".to_vec();
    let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\n0\r\n\r\n".to_vec();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (answer, stays_open) in [(behind, false), (closing, false), (chunks, true), (ok("a 1\n"), true)] {
        let (address, _asked) = server(vec![answer]);
        let fetched = runtime.block_on(fetch(&request(&address), None, &Budget::default()));
        let (response, open) = fetched.expect("a good answer");
        assert_eq!((response.body.as_slice(), open.is_some()), (&b"a 1\n"[..], stays_open));
    }
}

#[test]
fn what_is_compressed_is_undone() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"a 1\n").expect("into memory");
    let packed = packed.finish().expect("into memory");
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", packed.len()).into_bytes();
    answer.extend(packed);
    let (address, _asked) = server(vec![answer]);
    assert_eq!(run(&request(&address)).expect("a good answer").body, b"a 1\n");
}

#[test]
fn another_status_is_a_failure_with_its_words() {
    let (address, _asked) = server(vec![b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec()]);
    let failure = run(&request(&address)).expect_err("a bad status");
    assert_eq!(failure.what, "server returned HTTP status 503 Service Unavailable");
    assert_eq!(failure.reason, Reason::Status);
}

#[test]
fn redirects_are_followed_but_not_for_ever() {
    let there = b"HTTP/1.1 302 Found\r\nLocation: /other\r\n\r\n".to_vec();
    let (address, asked) = server(vec![there.clone(), ok("a 1\n")]);
    assert_eq!(run(&request(&address)).expect("a good answer").body, b"a 1\n");
    assert!(asked.iter().nth(1).is_some_and(|head| head.starts_with("GET /other ")));

    let (address, _asked) = server(vec![there.clone(); 20]);
    let failure = run(&request(&address)).expect_err("it never ends");
    assert!(failure.what.ends_with("stopped after 10 redirects"), "{}", failure.what);

    let (address, _asked) = server(vec![there]);
    let failure = run(&Request { follow_redirects: false, ..request(&address) }).expect_err("not followed");
    assert_eq!(failure.what, "server returned HTTP status 302 Found");
}

/// A token is for the host it was given for.
#[test]
fn another_host_is_not_told_who_we_are() {
    let (other, asked_other) = server(vec![ok("a 1\n")]);
    let other = other.replace("127.0.0.1", "localhost");
    let there = format!("HTTP/1.1 302 Found\r\nLocation: http://{other}/\r\n\r\n");
    let (address, asked) = server(vec![there.into_bytes()]);
    let mut request = request(&address);
    request.headers.push(("Authorization".to_owned(), "Bearer hunter2".to_owned()));
    assert!(run(&request).is_ok());
    assert!(asked.recv().is_ok_and(|head| head.contains("hunter2")));
    assert!(asked_other.recv().is_ok_and(|head| !head.contains("hunter2")));
}

#[test]
fn a_proxy_is_asked_for_the_whole_url() {
    let (address, asked) = server(vec![ok("a 1\n")]);
    let request =
        Request { proxy: Some(Proxy::new(&format!("http://u:p@{address}"), "")), ..request("barn.invalid:9") };
    assert!(run(&request).is_ok());
    let head = asked.recv().expect("it was asked");
    assert!(head.starts_with("GET http://barn.invalid:9/metrics HTTP/1.1\r\nHost: barn.invalid:9\r\n"), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic dTpw\r\n"), "{head}");
}

#[test]
fn what_has_no_end_ends_at_the_limit_or_in_time() {
    let endless = b"HTTP/1.1 200 OK\r\n\r\nENDLESS".to_vec();
    let (address, _asked) = server(vec![endless]);
    let failure = run(&Request { body_bytes_max: 100_000, ..request(&address) }).expect_err("too long");
    assert_eq!((failure.what.as_str(), failure.reason), ("body size limit exceeded", Reason::BodySize));

    let (address, _asked) = server(vec![b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999\r\n\r\nHANG".to_vec()]);
    assert_eq!(run(&request(&address)).expect_err("too long").reason, Reason::BodySize);

    for hanging in [&b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nHANG"[..], b"HTTP/1.1 200 OK\r\nX: HANG"] {
        let (address, _asked) = server(vec![hanging.to_vec()]);
        let quick = Request { timeout: Duration::from_millis(200), ..request(&address) };
        let failure = run(&quick).expect_err("it hangs");
        assert_eq!(failure.what, format!("Get \"http://{address}/metrics\": context deadline exceeded"));
    }
}

#[test]
fn what_is_broken_says_how() {
    for (answer, expected) in [
        (&b""[..], "EOF"),
        (b"garbage\r\n\r\n", "malformed HTTP response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", "unexpected EOF"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "invalid byte in chunk length"),
    ] {
        let (address, _asked) = server(vec![answer.to_vec()]);
        let failure = run(&request(&address)).expect_err("broken");
        assert!(failure.what.contains(expected), "{}", failure.what);
    }
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let failure = run(&request(&closed.to_string())).expect_err("nobody listens");
    assert!(failure.what.ends_with("connect: connection refused"), "{}", failure.what);
}
