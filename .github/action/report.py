"""Builds and checks the images that a pull request changes, and reports their sizes: as a job summary and as one comment, which every
run updates. Fails if the build or the check fails."""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

MARKER = "<!-- sizes of changed images -->"
AUTHOR = "github-actions[bot]"
BEFORE = "before-this-change"  # tag of the base commit's images
MOST_OWNERS = "10"  # rows per image
LARGEST_REPORT = 60_000  # characters; a comment holds 65,536


def images(*arguments, root=None, capture=False, optional=False):
    """Runs the program. Returns whether it succeeded, and its standard output if captured. `optional`: usage errors do not end the job."""
    command = ["images", *arguments] + (["--root", root] if root else [])
    # One line: what follows a line break could be a workflow command.
    print("::group::" + re.sub(r"\s", " ", " ".join(command)), flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE if capture else None, text=True)
    print("::endgroup::", flush=True)
    if done.returncode > 1 and not (optional and done.returncode == 2):
        # Wrong usage, a bad manifest, no engine: nothing was checked, and the program has printed why.
        sys.exit(done.returncode)
    return done.returncode == 0, done.stdout or ""


def read_event():
    """The event that started this run; empty without a readable one."""
    try:
        with open(os.environ["GITHUB_EVENT_PATH"], encoding="utf-8") as file:
            event = json.load(file)
    except (KeyError, OSError, ValueError):
        return {}
    return event if isinstance(event, dict) else {}


def allowance(event):
    """The options of `check` that allow growth, if the pull request has the label. Other labels are only compared."""
    label = os.environ.get("LABEL", "")
    labels = (event.get("pull_request") or {}).get("labels") or []
    if not label or label not in [one.get("name") for one in labels]:
        return []
    reason = f"label {label}"
    if event.get("action") == "labeled" and event["label"]["name"] == label:
        # A user name, or that of an app.
        user = re.fullmatch(r"[A-Za-z0-9-]{1,39}(\[bot\])?", event["sender"]["login"])
        reason += f", added by {user[0]}" if user else ""
    return ["--allow-growth", reason]


def rows(report):
    """The built images of a JSON report by service and edition."""
    found = json.loads(report)["images"] if report else []
    return {(row["service"], row["edition"]): row["image"] for row in found if row["measured"] is not None}


def known(tree, options):
    """The services of the base commit, those of Compose and bake files included; none before its first manifest."""
    # Nothing is built there yet, so the check fails, but it lists the images.
    report = images("check", *options, "--format", "json", root=tree, capture=True, optional=True)[1]
    return {row["service"] for row in json.loads(report)["images"]} if report else set()


def owners(now, base, edition):
    """Markdown about each changed image: its growth by owner since the base commit."""
    with tempfile.TemporaryDirectory() as folder:
        tree = os.path.join(folder, "base")
        added = subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, base])
        if added.returncode != 0:
            return f"No growth by owner: `{base}` is not in this checkout.\n"
        try:
            return growth(now, tree, ["--tag", BEFORE, *edition])
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree])


def growth(now, tree, options):
    """Markdown for owners(), given a checkout of the base commit in `tree`."""
    before = {}
    services = sorted({service for service, _ in now} & known(tree, options))
    if services:
        images("build-images", "--keep-going", *services, *options, root=tree)
        before = rows(images("check", *services, *options, "--format", "json", root=tree, capture=True)[1])
    parts = []
    for key, image in now.items():
        if key in before:
            arguments = ["why", before[key], image, "--format", "markdown", "--top", MOST_OWNERS]
            parts.append(images(*arguments, capture=True)[1])
        else:
            parts.append(f"### {image}: nothing to compare with\n")
    if services:
        images("clean", *services, *options, root=tree)
    return "\n".join(part for part in parts if part)


def call(url, method="GET", body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)
    request.add_header("Authorization", f"Bearer {os.environ['TOKEN']}")
    request.add_header("Accept", "application/vnd.github+json")
    if data is not None:
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def post(report, event):
    """Posts the report, or updates the earlier one."""
    pull = event.get("pull_request")
    if not pull:
        print("No comment: this is not a pull request.")
        return
    repository = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}"
    body = {"body": f"{MARKER}\n{report}"}
    try:
        page, comment = 1, None
        while comment is None:
            found = call(f"{repository}/issues/{int(pull['number'])}/comments?per_page=100&page={page}")
            own = [one for one in found if one["user"]["login"] == AUTHOR and one["body"].startswith(MARKER)]
            comment = own[0]["id"] if own else None
            if len(found) < 100:
                break
            page += 1
        if comment is None:
            call(f"{repository}/issues/{int(pull['number'])}/comments", "POST", body)
        else:
            call(f"{repository}/issues/comments/{int(comment)}", "PATCH", body)
    except urllib.error.HTTPError as error:
        # The token of a pull request from a fork may not write. The summary has the report.
        print(f"::warning::No comment: HTTP status {error.code}; the job needs `pull-requests: write`")
    except (OSError, ValueError) as error:
        print(f"::warning::No comment: GitHub's API did not answer ({type(error).__name__})")


def main():
    base, event = os.environ["BASE"], read_event()
    edition = ["--edition", os.environ["EDITION"]] if os.environ.get("EDITION") else []
    changed = [*edition, "--changed-since", base]
    built, _ = images("build-images", "--keep-going", *changed)
    check = ["check", *changed, *allowance(event), "--format"]
    passed, report = images(*check, "markdown", capture=True)
    if os.environ.get("OWNERS") == "true":
        now = rows(images(*check, "json", capture=True)[1])
        if now:
            report += "\n" + owners(now, base, edition)
    # An invisible word joiner after each @ prevents mentions.
    report = report.replace("@", "@\u2060")[:LARGEST_REPORT]
    with open(os.environ["GITHUB_STEP_SUMMARY"], "a", encoding="utf-8") as file:
        file.write(report)
    if os.environ.get("COMMENT") == "true":
        post(report, event)
    sys.exit(0 if built and passed else 1)


main()
