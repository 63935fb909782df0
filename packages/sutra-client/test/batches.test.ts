import { describe, expect, it } from "vitest";
import { batches, fitted, split } from "../src/teach/batches";

const LIMITS = { max_texts: 3, max_text_characters: 20, max_body_bytes: 80 };

describe("batches", () => {
  it("hold at most the allowed number of texts and bytes, in order", () => {
    const texts = ["a", "b", "c", "d", "ä".repeat(20), "ö".repeat(20)].map((text) => ({ text }));
    const found = [...batches(texts, LIMITS)];
    expect(found.map((batch) => batch.texts.length)).toEqual([3, 2, 1]);
    expect(found.flatMap((batch) => batch.texts)).toEqual(texts);
    for (const { body, texts } of found) {
      expect(new TextEncoder().encode(body).length).toBeLessThanOrEqual(LIMITS.max_body_bytes);
      expect(JSON.parse(body)).toEqual({ texts: texts.map(({ text }) => text) });
    }
  });

  it("may fill the body to the last byte", () => {
    const texts = [{ text: "a".repeat(10) }, { text: "b".repeat(10) }];
    const bytes = JSON.stringify({ texts: texts.map(({ text }) => text) }).length;
    expect([...batches(texts, { ...LIMITS, max_body_bytes: bytes })]).toHaveLength(1);
    expect([...batches(texts, { ...LIMITS, max_body_bytes: bytes - 1 })]).toHaveLength(2);
  });

  it("have room for any text that was fitted, whatever its characters", () => {
    const texts = fitted([{ text: "\u0001".repeat(100), source: "notes.txt" }], { ...LIMITS, max_body_bytes: 120 });
    for (const { body } of batches(texts, { ...LIMITS, max_body_bytes: 120 })) {
      expect(new TextEncoder().encode(body).length).toBeLessThanOrEqual(120);
    }
  });
});

describe("fitted", () => {
  it("drops duplicates and keeps the origin of each part", () => {
    const texts = [{ text: "One. Two is here now.", source: "s" }, { text: "One." }];
    expect(fitted(texts, { ...LIMITS, max_text_characters: 16, max_body_bytes: 1_000 })).toEqual([
      { text: "One. Two is", source: "s" },
      { text: "here now.", source: "s" },
      { text: "One." },
    ]);
  });
});

describe("split", () => {
  it.each([
    ["a short text", "short", 10, ["short"]],
    ["at a paragraph", "one two.\n\nthree\nfour five", 16, ["one two.", "three\nfour five"]],
    ["at a line", "one two. x\nthree four", 14, ["one two. x", "three four"]],
    ["at a sentence", "one two three. four five", 20, ["one two three.", "four five"]],
    ["at a word", "one two three four", 10, ["one two", "three four"]],
    ["anywhere", "abcdefghij", 4, ["abcd", "efgh", "ij"]],
    ["not inside of a character", "aaa😀bb", 4, ["aaa", "😀bb"]],
    ["a character that is too long", "😀", 1, ["\ud83d", "\ude00"]],
    ["nothing", "  \n ", 4, []],
  ])("cuts %s", (_, text, most, parts) => {
    expect(split(text, most)).toEqual(parts);
  });
});
