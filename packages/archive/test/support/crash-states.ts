import { LinkedSource } from './linked-source.ts'
import type { SourceTree } from './source-tree.ts'

/** Two successive states of a source, which differ by every kind of change. */
export function crashStates (): readonly [before: SourceTree, after: SourceTree] {
  return [state(false), state(true)]
}

function state (isAfter: boolean): SourceTree {
  const source = new LinkedSource()
  for (let i = 0; i < 12; i++) source.write(`docs/file${String(i)}`, `first content of ${String(i)}`)
  source.write('gone/a', 'to be deleted').write('gone/deep/b', 'as well').write('swap1', 'one').write('swap2', 'two!')
  source.write('moving/in', 'moves').write('kind', 'a file').write('replaced', 'short').link('link', 'docs')
  source.write('large', new Uint8Array(400_000).map((_, i) => i * 3))
  // Each is one file with several names: it is replaced, gets another mode and loses a name, or gets another name.
  source.names('one file', ['names/a', 'names/b', 'more/c']).names('private soon', ['mode/a', 'mode/b', 'mode/c']).names('few', ['few/a'])
  if (!isAfter) return source
  source.overwrite('names/a', 'one file, replaced').remove('mode/c').name('more/names', 'few/a')
  Object.assign(source.at('mode/a'), { mode: 0o600 })
  for (let i = 0; i < 6; i++) source.write(`docs/file${String(i)}`, `second content of ${String(i)}, longer`)
  source.remove('gone').move('swap1', 'swap3').move('swap2', 'swap1').move('swap3', 'swap2').move('moving/in', 'moved')
  source.remove('kind').write('kind/now/a', 'directory').write('replaced', 'with something longer').remove('link').link('link', 'kind')
  source.write('large', new Uint8Array(500_000).map((_, i) => i * 5)).write('new/one', 'brand new').mkdir('new/empty')
  return source
}
