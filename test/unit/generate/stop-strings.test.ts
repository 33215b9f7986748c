import fc from "fast-check";
import { StopStrings } from "#quipu/generate/stop-strings.js";

/** What comes through when `pieces` are pushed one after another, and which stop ended it. */
function pass(stops: readonly string[], pieces: readonly string[]) {
  const strings = new StopStrings(stops);
  let text = "";
  for (const piece of pieces) {
    const pushed = strings.push(piece);
    text += pushed.text;
    if (pushed.stop !== undefined) return { text, stop: pushed.stop };
  }
  return { text: text + strings.flush(), stop: undefined };
}

test.each<[string[], string[], string, string | undefined]>([
  [["\n\n"], ["one\n", "two\n", "\nthree"], "one\ntwo", "\n\n"],
  [["END"], ["xE", "N", "xEN", "D."], "xENx", "END"],
  [["END"], ["x", "EN"], "xEN", undefined], // a beginning of a stop at the end is text after all
  [["aab"], ["a", "a", "a", "b"], "a", "aab"], // the held text moves along
  [["bc", "abcd"], ["ab", "cd"], "a", "bc"], // the first to be complete wins, however the text is cut
  [["bc", "abc"], ["ab", "c"], "", "abc"], // of two that end together the longer
  [[], ["as ", "it is"], "as it is", undefined],
  [["é🎉"], ["caf", "é", "🎉!"], "caf", "é🎉"],
])("stops %j in %j leave %j", (stops, pieces, text, stop) => {
  expect(pass(stops, pieces)).toEqual({ text, stop });
});

test("where a text is cut into pieces makes no difference", () => {
  const letters = fc.stringMatching(/^[ab]{1,4}$/);
  fc.assert(
    fc.property(fc.array(letters, { maxLength: 3 }), fc.array(letters, { maxLength: 8 }), (stops, pieces) => {
      const whole = pieces.join("");
      expect(pass(stops, pieces)).toEqual(pass(stops, [...whole]));
      expect(pass(stops, pieces)).toEqual(pass(stops, [whole]));
    }),
    { numRuns: 2000 },
  );
});

test("text is given out as soon as no stop can begin in it", () => {
  const strings = new StopStrings(["stop"]);
  expect(strings.push("go s")).toEqual({ text: "go ", stop: undefined });
  expect(strings.push("o")).toEqual({ text: "so", stop: undefined });
});
