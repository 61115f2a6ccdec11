import { SourceTree } from './source-tree.ts'

/** A source with every kind of entry. */
export function sample (): SourceTree {
  return new SourceTree()
    .write('readme.txt', 'hello')
    .write('empty', '')
    .write('photos/2024/a.jpg', 'aaaa')
    .write('photos/2024/b.jpg', 'bbbb', 0o600)
    .write('photos/ünï ✓.txt', 'unicode')
    .write('run.sh', '#!/bin/sh', 0o755)
    .write('large.bin', new Uint8Array(700_000).map((_, i) => i * 7))
    .mkdir('nothing/in/here')
    .link('photos/latest', '2024/b.jpg')
}
