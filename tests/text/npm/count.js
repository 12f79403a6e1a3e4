// Reads a JSON list of texts on stdin; writes, a text each, what sms-segments-calculator makes of it and where Intl.Segmenter lets it be cut.
const { SegmentedMessage } = require("sms-segments-calculator");
const graphemes = new Intl.Segmenter("pt", { granularity: "grapheme" });
const texts = JSON.parse(require("fs").readFileSync(0, "utf8"));
const counted = texts.map((text) => {
  const message = new SegmentedMessage(text);
  const segments = message.segments.map((segment) => {
    const bits = message.getEncodingName() === "GSM-7" ? 7 : 16;
    return segment.messageSizeInBits() / bits;
  });
  const cuts = [...graphemes.segment(text)].map((each) => [...text.slice(0, each.index)].length);
  return { encoding: message.getEncodingName(), segments, cuts };
});
console.log(JSON.stringify(counted));
