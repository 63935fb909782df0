"""Builds and checks the images that a pull request changes, and reports their sizes: as a job summary and as one comment, which every
run updates. Before the build, the comment has an estimate from changed lock files. Fails if the build or the check fails."""

import contextlib
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
BUILDING = "\nThe images are being built. This comment will then show their sizes.\n"
MOST_OWNERS = "10"  # rows per image
LARGEST_REPORT = 60_000  # characters; a comment holds 65,536


def images(*arguments, root=None, capture=False, optional=False, annotate=True):
    """Runs the program. Returns whether it succeeded, and its standard output if captured. `optional`: usage errors do not end the job.
    `annotate`: breaches become annotations of the pull request."""
    command = ["images", *arguments] + (["--root", root] if root else [])
    # On one line, because a new line could start a workflow command.
    print("::group::" + re.sub(r"\s", " ", " ".join(command)), flush=True)
    environment = {name: value for name, value in os.environ.items() if annotate or name != "GITHUB_ACTIONS"}
    done = subprocess.run(command, stdout=subprocess.PIPE if capture else None, text=True, env=environment)
    print("::endgroup::", flush=True)
    if done.returncode > 1 and not (optional and done.returncode == 2):
        # Wrong usage, a bad manifest, no engine: nothing was checked, and the program has printed why.
        sys.exit(done.returncode)
    return done.returncode == 0, done.stdout or ""


def read_event():
    """The event that started this run; empty if it cannot be read."""
    try:
        with open(os.environ["GITHUB_EVENT_PATH"], encoding="utf-8") as file:
            event = json.load(file)
    except (KeyError, OSError, ValueError):
        return {}
    return event if isinstance(event, dict) else {}


def allowance(event):
    """The options of `check` that allow growth, if the pull request has the label."""
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


def check(*arguments, root=None):
    """The images of a check's report. An image that is not built is listed, too; none before a repository's first manifest."""
    report = images("check", *arguments, "--format", "json", root=root, capture=True, optional=True, annotate=False)[1]
    return json.loads(report)["images"] if report else []


def built_images(rows):
    """The built images by service and edition."""
    return {(row["service"], row["edition"]): row["image"] for row in rows if row["measured"] is not None}


@contextlib.contextmanager
def checkout(base):
    """A folder with the base commit; None if it is not in this checkout."""
    with tempfile.TemporaryDirectory() as folder:
        tree = os.path.join(folder, "base")
        added = subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, base])
        try:
            yield tree if added.returncode == 0 else None
        finally:
            if added.returncode == 0:
                subprocess.run(["git", "worktree", "remove", "--force", tree])


def build_base(tree, changed, options):
    """Builds the base commit's images of changed services, and returns them."""
    services = sorted({row["service"] for row in check(*changed)} & {row["service"] for row in check(*options, root=tree)})
    if not services:
        return {}
    images("build-images", "--keep-going", *services, *options, root=tree)
    return built_images(check(*services, *options, root=tree))


def growth(before, now):
    """Markdown about each changed image: its growth by owner since the base commit."""
    parts = []
    for key, image in now.items():
        if key in before:
            arguments = ["why", before[key], image, "--format", "markdown", "--top", MOST_OWNERS]
            parts.append(images(*arguments, capture=True)[1])
        else:
            parts.append(f"### {image}: nothing to compare with\n")
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
    """Posts the report, or updates the earlier one. Returns whether it could."""
    pull = event.get("pull_request")
    if not pull:
        print("No comment: this is not a pull request.")
        return False
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
        return True
    except urllib.error.HTTPError as error:
        # The token of a pull request from a fork may not write. The summary has the report.
        print(f"::warning::No comment: HTTP status {error.code}; the job needs `pull-requests: write`")
    except (OSError, ValueError) as error:
        print(f"::warning::No comment: GitHub's API did not answer ({type(error).__name__})")
    return False


def publish(report, event):
    """Posts the report if a comment is wanted. Returns it without mentions, and not longer than a comment."""
    # An invisible word joiner after each @ prevents mentions.
    report = report.replace("@", "@\u2060")[:LARGEST_REPORT]
    if os.environ.get("COMMENT") == "true" and not post(report, event):
        # The next attempt would fail, too.
        os.environ["COMMENT"] = "false"
    return report


def run(base, event, estimate):
    """Builds and checks. Returns whether all passed, and the report."""
    edition = ["--edition", os.environ["EDITION"]] if os.environ.get("EDITION") else []
    changed = [*edition, "--changed-since", base]
    with contextlib.ExitStack() as stack:
        tree, before, options = None, {}, ["--tag", BEFORE, *edition]
        if os.environ.get("OWNERS") == "true":
            tree = stack.enter_context(checkout(base))
            before = build_base(tree, changed, options) if tree else {}
        if before and estimate:
            # Now the sizes of packages in the base commit's images are known.
            estimate = lock_files(base, "--tag", BEFORE) or estimate
            publish(estimate + BUILDING, event)
        built, _ = images("build-images", "--keep-going", *changed)
        passed, report = images("check", *changed, *allowance(event), "--format", "markdown", capture=True)
        now = built_images(check(*changed)) if tree else {}
        if now:
            report += "\n" + growth(before, now)
        elif os.environ.get("OWNERS") == "true" and not tree:
            report += f"\nNo growth by owner: `{base}` is not in this checkout.\n"
        if before:
            images("clean", *sorted({service for service, _ in before}), *options, root=tree)
    if estimate:
        report += f"\n<details><summary>Estimate before the build</summary>\n\n{estimate}\n</details>\n"
    return built and passed, report


def lock_files(base, *options):
    """Markdown about changed lock files; empty if none changed."""
    # The estimate is for one edition.
    edition = os.environ.get("EDITION", "")
    options = [*options, "--edition", edition] if edition not in ("", "all") else options
    registries = ["--ask-registries"] if os.environ.get("REGISTRIES") == "true" else []
    arguments = ["estimate", "--changed-since", base, *options, *registries, "--format", "markdown"]
    return images(*arguments, capture=True, optional=True)[1]


def main():
    base, event = os.environ["BASE"], read_event()
    estimate = lock_files(base)
    if estimate:
        publish(estimate + BUILDING, event)
    try:
        passed, report = run(base, event, estimate)
    except SystemExit:
        if estimate:
            publish(estimate + "\nThe images were not checked. The log of the job says why.\n", event)
        raise
    report = publish(report, event)
    with open(os.environ["GITHUB_STEP_SUMMARY"], "a", encoding="utf-8") as file:
        file.write(report)
    sys.exit(0 if passed else 1)


main()
