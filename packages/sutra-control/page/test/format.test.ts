import { describe, expect, it } from "vitest";
import { bytes, duration, localTime, sentence, span, words } from "../src/shared/format";
import { jobTone, stateOf } from "../src/status/states";

describe("formatting", () => {
  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1 kB"],
    [14_290_000, "14.3 MB"],
    [999_600_000, "1 GB"],
    [1_320_000_000, "1.32 GB"],
  ])("%d bytes are %s", (count, text) => {
    expect(bytes(count)).toBe(text);
  });

  it.each([
    [0.44, "0.4 ms"],
    [12.6, "13 ms"],
    [1999, "2.0 s"],
  ])("%d ms are %s", (ms, text) => {
    expect(duration(ms)).toBe(text);
  });

  it.each([
    [30, "30 s"],
    [600, "10 min"],
    [3600, "1 h"],
    [14_400, "4 h"],
    [5400, "1.5 h"],
  ])("%d s are %s", (seconds, text) => {
    expect(span(seconds)).toBe(text);
  });

  it("returns an invalid timestamp unchanged", () => {
    expect(localTime("soon")).toBe("soon");
  });

  it("capitalizes a message", () => {
    expect(sentence("no operator is configured")).toBe("No operator is configured");
    expect(sentence("")).toBe("");
  });

  it("turns field names into words", () => {
    expect(words("bytes_on_disk")).toBe("bytes on disk");
  });
});

describe("states", () => {
  it("have a label and a tone; unknown states are their own label", () => {
    expect(stateOf("ok")).toEqual({ label: "up", tone: "good" });
    expect(stateOf("mistaken").tone).toBe("bad");
    expect(stateOf("wobbly")).toEqual({ label: "wobbly", tone: "wait" });
    expect(["done", "failed", "running"].map(jobTone)).toEqual(["good", "bad", "wait"]);
  });
});
