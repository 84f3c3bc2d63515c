"""The routes: answers equal to the segmenter's bit for bit, in every format; refusals."""

import errno
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hostile import HOSTILE, Faults
from PIL import Image
from rle_oracle import slow_counts, slow_text
from serving import Running, make_prompt, photo, png, run, save

from prompttune.prompts.prompt import Prompt
from prompttune.serve.limits import Limits
from prompttune.zoo.store import load_prompt


def ask(client: TestClient, image: bytes, **parameters: object) -> dict[str, np.ndarray]:
    response = client.post("/v1/segment", params={"format": "npz", **parameters}, content=image)
    assert response.status_code == 200, response.text
    with np.load(io.BytesIO(response.content), allow_pickle=False) as arrays:
        return dict(arrays)


def error(response: object) -> str:
    body = response.json()  # type: ignore[attr-defined]
    assert set(body) == {"error"}
    assert "\n" not in body["error"]
    return str(body["error"])


def test_a_full_disk_is_the_servers_fault(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = png(photo(8, 8))

    def full(number: int) -> object:
        def write(*_: object) -> None:
            raise OSError(number, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(Path, "write_bytes", write)
            return running.client.post("/v1/segment?prompt=fine", content=image)

    answer = full(errno.ENOSPC)
    assert answer.status_code == 507
    assert "No space left" in error(answer)
    assert full(errno.EIO).status_code == 500  # no fault of room is not told as one
    assert ask(running.client, image, prompt="fine")


@pytest.mark.parametrize("name", ["fine", "coarse", "whole"])
@pytest.mark.parametrize("extra", [{}, {"flips": True, "overlap": 0.5}])
def test_an_answer_is_the_segmenters_bit_for_bit(
    running: Running, name: str, extra: dict[str, object]
) -> None:
    image = png(photo(37, 50))
    got = ask(running.client, image, prompt=name, **extra)
    prompt = load_prompt(name, running.zoo)
    expected = running.reference.predict(image, prompt, **extra)  # type: ignore[arg-type]
    assert np.array_equal(got["classes"], expected.classes)
    assert np.array_equal(got["scores"], expected.scores)
    assert tuple(got["names"]) == prompt.palette.classes


def test_deep_images_are_read_as_the_keys_own_were(running: Running) -> None:
    save(make_prompt("deep", scale=1.0), running.zoo, stretch="200,600")
    deep = np.random.default_rng(5).integers(204, 561, (24, 30)).astype(np.uint16)
    image = png(deep)
    got = ask(running.client, image, prompt="deep")
    expected = running.reference.predict(image, load_prompt("deep", running.zoo))
    assert np.array_equal(got["scores"], expected.scores)
    plain = running.reference.predict(image, make_prompt("deep", scale=1.0))
    assert not np.array_equal(got["scores"], plain.scores)  # read by its own range


def test_requests_of_several_keys_and_sizes_share_batches_and_keep_their_bits(
    running: Running,
) -> None:
    names = ["fine", "coarse", "whole"]
    tasks = [(names[n % 3], photo(20 + 7 * n, 60 - 3 * n, n)) for n in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda t: ask(running.client, png(t[1]), prompt=t[0]), tasks))
    for (name, image), got in zip(tasks, answers, strict=True):
        expected = running.reference.predict(image, load_prompt(name, running.zoo))
        assert np.array_equal(got["scores"], expected.scores)
        assert np.array_equal(got["classes"], expected.classes)
    metrics = running.client.get("/metrics").text
    count = float(metrics.split("prompttune_batch_requests_count ")[1].split()[0])
    total = float(metrics.split("prompttune_batch_requests_sum ")[1].split()[0])
    # Where bits would depend on the batch (fp32 on some processors with AVX2) none is shared.
    shared = all(running.service.engine.shared.values())
    assert (total > count) is shared


def test_formats_say_the_same(running: Running) -> None:
    image = png(photo(40, 31))
    expected = running.reference.predict(image, load_prompt("coarse", running.zoo))

    def content(kind: str) -> bytes:
        parameters = {"prompt": "coarse", "format": kind}
        response = running.client.post("/v1/segment", params=parameters, content=image)
        assert response.status_code == 200
        assert json.loads(unquote(response.headers["x-prompttune-classes"])) == ["a", "b"]
        assert "network;dur=" in response.headers["server-timing"]
        return response.content

    with Image.open(io.BytesIO(content("png"))) as mask:
        assert mask.mode == "P"
        assert np.array_equal(np.array(mask), expected.classes)
    runs = json.loads(content("rle"))
    assert [one["class"] for one in runs["masks"]] == ["a", "b"]
    for number, one in enumerate(runs["masks"], 1):
        assert one["counts"] == slow_text(slow_counts(expected.classes == number))
    assert json.loads(content("coco")) == expected.to_coco(0)
    features = json.loads(content("geojson"))["features"]
    assert {one["properties"]["class"] for one in features} <= {"a", "b"}


def test_examples_answer_as_in_python(running: Running) -> None:
    mask = np.zeros((24, 30), np.uint8)
    mask[4:15, 5:20] = 1
    example, query = png(photo(24, 30, 1)), png(photo(33, 40, 2))
    response = running.client.post(
        "/v1/segment",
        params={"format": "npz", "classes": "spot"},
        files=[("image", query), ("example", example), ("mask", png(mask))],
        data={"scale": "0.5"},
    )
    assert response.status_code == 200, response.text
    prompt = Prompt.from_examples([(example, png(mask))], ["spot"], 0.5, 16)
    expected = running.reference.predict(query, prompt)
    with np.load(io.BytesIO(response.content)) as arrays:
        assert np.array_equal(arrays["scores"], expected.scores)
    chosen = running.client.post(
        "/v1/segment", files=[("image", query), ("example", example), ("mask", png(mask))]
    )
    assert chosen.status_code == 200
    scale = json.loads(chosen.headers["x-prompttune-scales"])[0]
    assert scale == "whole" or scale > 0


@pytest.mark.parametrize(
    ("parameters", "content", "status", "words"),
    [
        ({"prompt": "nobody"}, None, 404, "No key 'nobody'"),
        ({"prompt": "../zoo/fine"}, None, 404, "No key"),
        ({"prompt": "<script>"}, None, 404, "No key"),
        ({"prompt": "foreign"}, None, 409, "was tuned on backbone"),
        ({"prompt": "fine"}, b"not an image", 422, "image: is not an image"),
        ({"prompt": "fine"}, b"", 422, "Send one image"),
        ({}, None, 422, "Give prompt=NAME"),
        ({"prompt": "fine", "format": "gif"}, None, 422, "format: input should be"),
        ({"prompt": "fine", "overlap": "2"}, None, 422, "overlap:"),
        ({"prompt": "fine", "colour": "2"}, None, 422, "colour:"),
        ({"prompt": "fine", "classes": "a"}, None, 422, "go with examples"),
        ({"prompt": "f" * 65}, None, 422, "prompt:"),
    ],
)
def test_what_cannot_be_answered_gets_one_sentence(
    running: Running, parameters: dict[str, str], content: bytes | None, status: int, words: str
) -> None:
    image = png(photo(20, 20)) if content is None else content
    response = running.client.post("/v1/segment", params=parameters, content=image)
    assert response.status_code == status
    assert words in error(response)
    assert str(running.zoo) not in response.text


def test_an_upload_may_not_lie_about_its_type_or_size(running: Running) -> None:
    parameters = {"prompt": "fine"}
    lying = {"content-type": "image/gif"}
    image = png(photo(20, 20))
    honest = running.client.post("/v1/segment", params=parameters, content=image)
    other = running.client.post("/v1/segment", params=parameters, content=image, headers=lying)
    assert other.content == honest.content
    huge = bytearray(image)
    huge[16:24] = (90000).to_bytes(4, "big") * 2  # the header's size alone
    response = running.client.post("/v1/segment", params=parameters, content=bytes(huge))
    assert response.status_code in (413, 422)
    assert "pixels" in error(response) or "damaged" in error(response)
    cut = running.client.post("/v1/segment", params=parameters, content=image[:-40])
    assert cut.status_code == 422
    assert "image: is" in error(cut)


def test_limits_of_bytes_and_pixels(zoo: Path) -> None:
    with run(zoo, Limits(bytes=5000, pixels=500)) as running:
        small = running.client.post(
            "/v1/segment", params={"prompt": "fine"}, content=png(photo(20, 20))
        )
        assert small.status_code == 200
        many = running.client.post(
            "/v1/segment", params={"prompt": "fine"}, content=png(photo(30, 30))
        )
        assert many.status_code == 413
        assert "30 x 30 pixels" in error(many)
        long = running.client.post(
            "/v1/segment", params={"prompt": "fine"}, content=png(photo(90, 90))
        )
        assert long.status_code == 413
        chunks = (b"x" * 1000 for _ in range(9))  # no length in the header
        unsaid = running.client.post("/v1/segment", params={"prompt": "fine"}, content=chunks)
        assert unsaid.status_code == 413
        assert "longer than 5000 bytes" in error(unsaid)


def test_time_is_limited_and_late_work_is_dropped(zoo: Path) -> None:
    with run(zoo, Limits(seconds=0.2)) as running:
        hold = running.service.engine.call(lambda: __import__("time").sleep(1))
        response = running.client.post(
            "/v1/segment", params={"prompt": "fine"}, content=png(photo(20, 20))
        )
        assert response.status_code == 408
        assert "0.2 s" in error(response)
        hold.result()
        done = running.service.engine.call(lambda: len(running.service.engine._jobs))
        assert done.result() == 0


def test_a_full_queue_refuses_with_retry_after(zoo: Path) -> None:
    with run(zoo, Limits(queue=2)) as running:
        free = threading.Event()
        running.service.engine.call(free.wait)

        def post(_: int) -> tuple[int, str | None]:
            response = running.client.post(
                "/v1/segment", params={"prompt": "fine"}, content=png(photo(20, 20))
            )
            if response.status_code == 429:
                free.set()
            return response.status_code, response.headers.get("retry-after")

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(post, range(6)))
        assert {status for status, _ in answers} == {200, 429}
        assert all((status == 429) == (wait is not None) for status, wait in answers)
        assert all(int(wait) >= 1 for _, wait in answers if wait)


def test_keys_come_and_go_without_a_restart(running: Running) -> None:
    image = png(photo(20, 20))

    def status(name: str) -> int:
        return running.client.post(
            "/v1/segment", params={"prompt": name}, content=image
        ).status_code

    assert status("later") == 404
    folder = save(make_prompt("later"), running.zoo)
    assert status("later") == 200
    before = ask(running.client, image, prompt="later")["scores"]
    save(make_prompt("later", threshold=0.9, scale=1.0), running.zoo)
    assert not np.array_equal(ask(running.client, image, prompt="later")["scores"], before)
    (folder / "prompt.safetensors").write_bytes(b"\0" * 100)
    assert status("later") == 409
    (folder / "prompt.safetensors").unlink()
    assert status("later") == 404
    names = [one["name"] for one in running.client.get("/v1/prompts").json()]
    assert names == ["coarse", "fine", "foreign", "whole"]


def test_a_file_that_is_no_key_of_the_zoo_is_never_opened(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(make_prompt("beside"), tmp_path)  # a key, but in the working folder
    response = running.client.post(
        "/v1/segment", params={"prompt": "beside"}, content=png(photo(20, 20))
    )
    assert response.status_code == 404
    assert running.client.get("/v1/prompts/beside").status_code == 404
    assert running.client.get("/v1/prompts/..%2f..%2fetc%2fpasswd").status_code == 404


def test_cards_and_previews(running: Running) -> None:
    card = running.client.get("/v1/prompts/coarse").json()
    assert [one["name"] for one in card["classes"]] == ["a", "b"]
    preview = running.client.get("/v1/prompts/coarse/preview")
    assert preview.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(preview.content)).width > 0
    listed = {one["name"]: one for one in running.client.get("/v1/prompts").json()}
    assert listed["fine"]["fits"]
    assert not listed["foreign"]["fits"]


def test_keys_are_taken_only_with_a_token_and_checked(
    guarded: Running, running: Running, tmp_path: Path
) -> None:
    key = (save(make_prompt("new"), tmp_path / "else") / "prompt.safetensors").read_bytes()
    assert running.client.post("/v1/prompts", content=key).status_code == 403
    assert guarded.client.post("/v1/prompts", content=key).status_code == 201
    assert guarded.client.get("/v1/prompts/new").json()["name"] == "new"
    again = guarded.client.post("/v1/prompts", content=key)
    assert again.status_code == 409
    assert "overwrite=true" in error(again)
    assert guarded.client.post("/v1/prompts?overwrite=true", content=key).status_code == 201
    broken = guarded.client.post("/v1/prompts", content=key[:-20])
    assert broken.status_code == 422
    assert str(guarded.zoo) not in broken.text
    assert sorted(each.name for each in guarded.zoo.iterdir() if each.name[0] == ".") == []
    foreign = (guarded.zoo / "foreign" / "prompt.safetensors").read_bytes()
    assert "tuned on backbone" in error(guarded.client.post("/v1/prompts", content=foreign))


def test_a_token_is_asked_for_and_health_is_open(guarded: Running) -> None:
    for wrong in ("", "Bearer", "Bearer nonsense"):
        response = guarded.client.get("/v1/prompts", headers={"authorization": wrong})
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
    health = guarded.client.get("/health", headers={"authorization": ""})
    assert health.json()["status"] == "ok"


def test_without_a_token_only_this_machines_pages_may_ask(running: Running) -> None:
    get = running.client.get
    assert get("/v1/prompts", headers={"host": "evil.example"}).status_code == 403
    assert get("/v1/prompts", headers={"origin": "http://evil.example"}).status_code == 403
    assert get("/v1/prompts", headers={"origin": "http://testserver"}).status_code == 200


def test_metrics_count_by_route_and_not_by_name(running: Running) -> None:
    running.client.get("/v1/prompts/fine")
    running.client.get("/v1/prompts/nobody")
    text = running.client.get("/metrics").text
    assert 'prompttune_requests_total{route="/v1/prompts/{name}",status="200"} 1.0' in text
    assert "nobody" not in text


def test_openapi_and_its_page_need_nothing_from_elsewhere(running: Running) -> None:
    api = running.client.get("/openapi.json").json()
    assert {"/v1/segment", "/v1/prompts", "/health", "/metrics"} <= set(api["paths"])
    page = running.client.get("/docs").text
    assert "//" not in page.replace("http://", "").replace("</", "") or "src=" not in page


def test_what_a_client_says_is_not_said_back_as_a_page(running: Running) -> None:
    assert not Faults(running.client.get("/docs").text.replace("<script>", "")).found
    asked = f"/v1/prompts/{quote(HOSTILE[:60], safe='')}"
    said = [
        running.client.get(asked),
        running.client.get(f"/{quote(HOSTILE)}"),
        running.client.post(
            "/v1/segment", params={"prompt": HOSTILE[:60]}, content=png(photo(9, 8))
        ),
        running.client.post("/v1/segment", params={HOSTILE: "1"}, content=b"x"),
    ]
    for answer in said:
        assert 400 <= answer.status_code < 500
        assert answer.headers["content-type"] == "application/json"
