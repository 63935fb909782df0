import { describe, expect, it } from "vitest";
import { pieces } from "../src/ask/marks";

const one = { id: "a", text: "A", score: 1, number: 1 };
const two = { id: "b", text: "B", score: 1, number: 2 };

describe("pieces", () => {
  it.each([
    ["marks in the text", "x [1] y [2].", ["x ", 1, " y ", 2, "."]],
    ["several numbers in one bracket", "x [1, 2]", ["x ", 1, 2]],
    ["a number without a citation stays text", "x [7] [1] [2]", ["x [7] ", 1, " ", 2]],
    ["citations without a mark are added at the end", "x [2].", ["x ", 2, ".", 1]],
    ["a text without marks", "x", ["x", 1, 2]],
    ["marks alone", "[1][2]", [1, 2]],
    ["an empty text", "", [1, 2]],
  ])("%s", (_, answer, expected) => {
    const found = pieces({ answer, citations: [one, two] });
    expect(found.map((piece) => ("text" in piece ? piece.text : piece.mark.number))).toEqual(expected);
  });
});
