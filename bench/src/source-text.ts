import type { SeededBytes } from './seeded-bytes.ts'

const WORDS = [
  'const', 'return', 'await', 'function', 'entry', 'listing', 'if', 'else', 'for', 'of', 'name', 'size', '=', '===', '=>', '{', '}', '(',
  ')', 'session', 'import', 'from', 'export', 'path', 'error', 'throw', 'new', 'signal', 'bytes', 'count', 'value', 'index', '+', '0', '1',
  'undefined',
]

/** Text in lines that compresses about as source code does. */
export function sourceText (random: SeededBytes, sizeBytes: number): Buffer {
  const text = Buffer.allocUnsafe(sizeBytes)
  let at = 0
  for (let word = 0; at < sizeBytes; word++) {
    at += text.write(`${WORDS[random.below(WORDS.length)] ?? ''}${random.below(8)}${word % 9 === 8 ? '\n' : ' '}`, at, 'latin1')
  }
  return text
}
