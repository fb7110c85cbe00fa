"""Video questions: verdicts, figures, a judge behind a local server, and kept replies."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from seesay.errors import InputError, ModelError
from seesay.evaluate.benchmark import Answer
from seesay.evaluate.benchmarks.judge import Endpoint, Replayed
from seesay.evaluate.benchmarks.video import Verdict, VideoQuestions, read_answers, read_verdict


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("{'pred': 'yes', 'score': 4}", Verdict(True, 4)),
        ('{"pred": "No", "score": 0}', Verdict(False, 0)),
        ("Here: {'pred': 'yes', 'score': 4.8} {'pred': 'no', 'score': 0}", Verdict(True, 4)),
        ('```\n{"pred": " yes",\n "score": "5"}\n```', Verdict(True, 5)),
        ("{'pred': 'maybe', 'score': 3}", None),
        ("{'pred': 'yes', 'score': 9}", None),
        ("{'pred': 'yes'}", None),
        ("{'pred': 'yes', 'score': inf}", None),
        ("{__import__('os').abort()}", None),
        ("{1, 2}", None),
        ("yes", None),
        ("", None),
    ],
)
def test_verdicts(reply, verdict):
    assert read_verdict(reply) == verdict


ROWS = [
    {"id": number, "video": f"{number // 2}.mp4", "question": f"What {number}?", "answer": "a dog"}
    for number in range(4)
]


@pytest.fixture
def questions(tmp_path):
    path = tmp_path / "qa.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    return path


class Scripted:
    """A judge that knows its replies by the predicted answer."""

    name = "scripted"

    def __init__(self, replies):
        self.replies, self.asked = replies, []

    def __call__(self, request):
        self.asked.append(request)
        return next(reply for key, reply in self.replies.items() if f": {key}\n" in request)


REPLIES = {
    "puppy": "{'pred': 'yes', 'score': 5}",
    "cat": "{'pred': 'no', 'score': 1}",
    "beast": "{'pred': 'yes', 'score': 3}",
    "hm": "I cannot say.",
}


def scored(questions, **options):
    benchmark = VideoQuestions(questions=questions, judge=Scripted(REPLIES), **options)
    samples = benchmark.samples()
    answers = {s.id: Answer(s.id, t) for s, t in zip(samples, REPLIES, strict=True)}
    score = benchmark.score(samples, answers)
    return score, {name: float(m.of(score.totals)) for name, m in benchmark.metrics.items()}


def test_figures_with_failures_as_wrong_and_left_out(questions):
    score, found = scored(questions)
    assert found == {"accuracy": 50, "score": 9 / 4, "unjudged": 25}
    assert score.clusters == ("0.mp4", "1.mp4")
    assert score.parsed["0"]["verdict"] == {"right": True, "points": 5}
    assert score.parsed["3"] == {"reply": "I cannot say.", "verdict": None}
    _, found = scored(questions, failures="skip")
    assert found == {"accuracy": pytest.approx(200 / 3), "score": 3, "unjudged": 25}


def test_the_judge_sees_question_answer_and_prediction(questions):
    judge = Scripted(REPLIES)
    benchmark = VideoQuestions(
        questions=questions, judge=judge, request="{question}|{answer}|: {prediction}\n"
    )
    benchmark.score(benchmark.samples()[:1], {"0": Answer("0", "puppy")})
    assert judge.asked == ["What 0?|a dog|: puppy\n"]


def test_protocol_names_the_judge(questions):
    protocol = VideoQuestions(questions=questions, judge=Scripted({})).protocol()
    assert protocol["judge"] == "scripted"
    assert set(json.loads(json.dumps(protocol))["data"]) == {"qa.jsonl"}


def test_replies_are_kept_and_replayed(tmp_path, questions):
    path, judge = tmp_path / "kept" / "replies.jsonl", Scripted(REPLIES)
    request = "Predicted answer: cat\n"
    assert Replayed(path, judge)(request) == REPLIES["cat"]
    again = Replayed(path, judge)
    assert again(request) == again(request) == REPLIES["cat"]
    assert len(judge.asked) == 1
    alone = Replayed(path, name="scripted")
    assert alone(request) == REPLIES["cat"]
    with pytest.raises(InputError, match="holds no reply of scripted"):
        alone("Something else")
    with pytest.raises(InputError, match="holds no reply of other"):
        Replayed(path, name="other")(request)


def test_a_reply_that_was_cut_off_is_asked_again(tmp_path):
    path, judge = tmp_path / "replies.jsonl", Scripted(REPLIES)
    for answer in ("cat", "puppy"):
        Replayed(path, judge)(f"Predicted answer: {answer}\n")
    path.write_text(path.read_text()[:-20])
    judge = Scripted(REPLIES)
    replayed = Replayed(path, judge)
    for answer in ("cat", "puppy"):
        replayed(f"Predicted answer: {answer}\n")
    assert len(judge.asked) == 1
    assert len(path.read_text().splitlines()) == 2


def test_kept_replies_that_cannot_be_read(tmp_path):
    path = tmp_path / "replies.jsonl"
    path.write_text('{"key": 1}\n')
    with pytest.raises(InputError, match="line 1: no kept reply"):
        Replayed(path, name="x")
    with pytest.raises(InputError, match="would be a pickle"):
        Replayed(tmp_path / "replies.pkl", name="x")
    with pytest.raises(InputError, match="need the judge's name"):
        Replayed(path)


@pytest.fixture
def server():
    """A chat endpoint on this machine that answers what `server.script` says, in turn."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.server.seen.append((self.path, self.headers.get("Authorization"), body))
            status, reply = self.server.script.pop(0)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(reply).encode())

        def log_message(self, *_):
            pass

    running = HTTPServer(("127.0.0.1", 0), Handler)
    running.seen, running.script = [], []
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()


def says(text):
    return 200, {"choices": [{"message": {"content": text}}]}


def endpoint(server, **options):
    return Endpoint(f"http://127.0.0.1:{server.server_port}/v1", "small", wait=0.01, **options)


def test_a_server_is_asked_and_asked_again(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "word")
    server.script = [(503, {}), (429, {}), says("{'pred': 'yes', 'score': 5}")]
    assert endpoint(server)("Right?") == "{'pred': 'yes', 'score': 5}"
    path, key, body = server.seen[-1]
    assert (path, key) == ("/v1/chat/completions", "Bearer word")
    assert body == {
        "model": "small",
        "temperature": 0,
        "messages": [{"role": "user", "content": "Right?"}],
    }
    assert len(server.seen) == 3


def test_a_server_that_refuses_fails_or_answers_otherwise(server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server.script = [(401, {"error": "no key"})]
    with pytest.raises(ModelError, match=r"gave no reply \(status 401: .*no key"):
        endpoint(server)("?")
    assert server.seen[0][1] is None
    server.script = [(500, {})] * 2
    with pytest.raises(ModelError, match="status 500"):
        endpoint(server, attempts=2)("?")
    server.script = [(200, {"text": "yes"})]
    with pytest.raises(ModelError, match="in another form"):
        endpoint(server)("?")


def test_nobody_there():
    with pytest.raises(ModelError, match="gave no reply"):
        Endpoint("http://127.0.0.1:9/v1", "small", attempts=1)("?")
    with pytest.raises(InputError, match="no web address"):
        Endpoint("localhost", "small")


def test_answers_from_a_file(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text('{"id": 1, "text": "a dog"}\n{"question_id": "2", "pred": "a cat"}\n')
    assert read_answers(path) == {"1": Answer("1", "a dog"), "2": Answer("2", "a cat")}
    path.write_text('{"id": 1, "text": "a"}\n' * 2)
    with pytest.raises(InputError, match="'1' stands there twice"):
        read_answers(path)


def test_questions_and_their_folder(tmp_path, questions):
    samples = VideoQuestions(questions=questions, videos=tmp_path / "v").samples()
    assert samples[3].picture == str(tmp_path / "v" / "1.mp4")
    assert samples[3].truth == {"question": "What 3?", "answer": "a dog"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"failures": "retry"}, "unknown failures='retry'"),
        ({"request": "{question} {answer}"}, "has no {prediction}"),
        ({"request": "{question} {answer} {prediction} {x}"}, "a brace that names nothing"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        VideoQuestions(**options)


def test_what_must_be_given(questions):
    with pytest.raises(InputError, match="needs a file of questions"):
        VideoQuestions().samples()
    with pytest.raises(InputError, match="needs a judge"):
        VideoQuestions(questions=questions).score([], {})
