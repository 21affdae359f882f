"""Files are read and made below one folder, whatever a path says and whatever lies in the way."""

import os
import stat
from pathlib import Path

import pytest

from mixpanel_mcp.files.root import FilesRoot, OutsideError

LIMIT = 1_000


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.txt").write_text("planted secret", encoding="utf-8")
    return folder


@pytest.fixture
def root(tmp_path: Path, outside: Path) -> FilesRoot:
    """A folder with a plain file, and one folder deeper another."""
    del outside
    folder = tmp_path / "root"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "plain.txt").write_text("plain", encoding="utf-8")
    (folder / "deep" / "er" / "plain.txt").write_text("deep", encoding="utf-8")
    return FilesRoot(folder)


def read_fails(root: FilesRoot, path: str) -> str:
    with pytest.raises(OutsideError) as caught:
        root.read(path, LIMIT)
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "content"), [("plain.txt", b"plain"), ("deep/er/plain.txt", b"deep")]
)
def test_a_plain_file_below_the_root_is_read(root: FilesRoot, path: str, content: bytes) -> None:
    assert root.read(path, LIMIT) == content


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "/",
        "//",
        "~",
        "../outside/secret.txt",
        "deep/../../outside/secret.txt",
        "deep/../plain.txt",
        "./plain.txt",
        "deep//er/plain.txt",
        "plain.txt/",
        "plain.txt/..",
        "/etc/passwd",
        "//etc/passwd",
        "/proc/self/environ",
        "file:///etc/passwd",
        "C:\\Windows\\win.ini",
        "..\\outside\\secret.txt",
        "deep\\er\\plain.txt",
        "plain.txt\x00",
        "plain.txt\x00.csv",
        "plain\x7f.txt",
        "plain.txt:stream",
        "%2e%2e/outside/secret.txt",
        "..%2foutside%2fsecret.txt",
        "\uff0e\uff0e/outside/secret.txt",
        "....//outside/secret.txt",
        "PLAIN.TXT/../plain.txt",
        "\ud800",
        "\udcff.txt",
        "a" * 300,
        "b/" * 3_000 + "b",
        "missing.txt",
        "deep",
    ],
    ids=lambda path: ascii(path)[:40],
)
def test_a_path_that_is_no_file_below_the_root_is_refused(root: FilesRoot, path: str) -> None:
    assert "secret" not in read_fails(root, path).replace("secret.txt", "")


def test_an_absolute_path_is_refused_even_to_a_file_below_the_root(root: FilesRoot) -> None:
    read_fails(root, str(root.folder / "plain.txt"))


@pytest.mark.parametrize("target", ["outside/secret.txt", "root/plain.txt"])
def test_a_link_is_not_followed_wherever_it_leads(
    root: FilesRoot, tmp_path: Path, target: str
) -> None:
    (root.folder / "link.txt").symlink_to(tmp_path / target)

    read_fails(root, "link.txt")


@pytest.mark.parametrize("target", ["/proc/self/environ", "/dev/zero", "/etc/hostname"])
def test_a_link_to_a_place_of_the_system_is_not_followed(root: FilesRoot, target: str) -> None:
    (root.folder / "link").symlink_to(target)

    read_fails(root, "link")


def test_a_linked_folder_is_not_entered(root: FilesRoot, outside: Path) -> None:
    (root.folder / "folder").symlink_to(outside, target_is_directory=True)
    (root.folder / "deep" / "folder").symlink_to(outside, target_is_directory=True)

    read_fails(root, "folder/secret.txt")
    read_fails(root, "deep/folder/secret.txt")


def test_a_folder_that_was_swapped_for_a_link_is_not_entered(
    root: FilesRoot, outside: Path
) -> None:
    assert root.read("deep/er/plain.txt", LIMIT) == b"deep"
    (root.folder / "deep" / "er").rename(root.folder / "moved")
    (root.folder / "deep" / "er").symlink_to(outside, target_is_directory=True)

    read_fails(root, "deep/er/secret.txt")


def test_a_second_name_of_a_file_elsewhere_is_refused(root: FilesRoot, outside: Path) -> None:
    """A hard link looks like any file; only its count tells."""
    (root.folder / "hard.txt").hardlink_to(outside / "secret.txt")

    read_fails(root, "hard.txt")


def test_a_pipe_is_refused_without_waiting_for_it(root: FilesRoot) -> None:
    os.mkfifo(root.folder / "pipe")

    assert "plain file" in read_fails(root, "pipe")


def test_a_device_is_refused() -> None:
    assert "plain file" in read_fails(FilesRoot(Path("/dev")), "zero")


def test_a_file_beyond_the_limit_is_refused(root: FilesRoot) -> None:
    (root.folder / "large.bin").write_bytes(b"x" * (LIMIT + 1))
    (root.folder / "fits.bin").write_bytes(b"x" * LIMIT)

    assert str(LIMIT) in read_fails(root, "large.bin")
    assert len(root.read("fits.bin", LIMIT)) == LIMIT


def test_a_file_that_says_it_is_empty_and_is_not_is_no_plain_file() -> None:
    """The files of /proc have a size of zero, and content: here the environment, with secrets."""
    proc = FilesRoot(Path("/proc/self"))

    with pytest.raises(OutsideError):
        proc.read("environ", 1)


def test_a_made_file_is_its_owners_alone(root: FilesRoot) -> None:
    path, file = root.create("made.ndjson")
    with file:
        file.write(b"content")

    assert path.parent == root.folder
    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_is_overwritten(root: FilesRoot) -> None:
    with pytest.raises(OutsideError):
        root.create("plain.txt")

    assert root.read("plain.txt", LIMIT) == b"plain"


def test_nothing_is_made_through_a_link(root: FilesRoot, outside: Path) -> None:
    (root.folder / "dangling").symlink_to(outside / "made")
    (root.folder / "pointing").symlink_to(outside / "secret.txt")

    for name in ("dangling", "pointing"):
        with pytest.raises(OutsideError):
            root.create(name)

    assert [path.name for path in outside.iterdir()] == ["secret.txt"]
    assert (outside / "secret.txt").read_text(encoding="utf-8") == "planted secret"


@pytest.mark.parametrize(
    "name",
    ["", "..", "../made", "deep/made", "/made", "a\x00", "a\n", "a\\b", "a:b", "\ud800", "deep"],
)
def test_only_a_plain_new_name_is_made(root: FilesRoot, name: str) -> None:
    before = sorted(root.folder.rglob("*"))

    with pytest.raises(OutsideError):
        root.create(name)

    assert sorted(root.folder.rglob("*")) == before


def test_fresh_names_are_not_to_be_guessed(root: FilesRoot) -> None:
    names = {root.fresh_name("export", "ndjson") for _ in range(100)}

    assert len(names) == 100
    assert all(name.startswith("export-") and name.endswith(".ndjson") for name in names)


def test_no_handle_is_left_open(root: FilesRoot) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    for path in ("plain.txt", "deep/er/plain.txt", "missing.txt", "deep", "deep/no/file", ".."):
        try:
            root.read(path, LIMIT)
        except OutsideError:
            continue
    root.create("made")[1].close()

    assert len(list(Path("/proc/self/fd").iterdir())) == before
