import { encodeListing } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { ensure } from '@filesync/protocol/testing'
import type { ConformanceCase } from '@filesync/protocol/testing'
import type { ArchiveIndex, DamageRecord } from '../store/archive-index.ts'
import { FACT_BYTES } from '../store/facts.ts'
import type { StoredDirectory } from '../store/fold.ts'
import { indexPageCases } from './index-page-cases.ts'
import { name, path } from './store-subject.ts'

function stored (entry: string, files: number): StoredDirectory {
  const listing = encodeListing([{ kind: 'symlink', name: name(entry), mtimeNs: 1n, target: 'x' }])
  return { listing, facts: new Uint8Array(files * FACT_BYTES).fill(files) }
}

const at = (area: string, directory: string): { area: string, directory: RelativePath } => ({ area, directory: path(directory) })

function same (left: Uint8Array | undefined, right: Uint8Array): boolean {
  return left?.length === right.length && left.every((byte, i) => byte === right[i])
}

function sameDirectory (left: StoredDirectory | undefined, right: StoredDirectory): boolean {
  return same(left?.listing, right.listing) && same(left?.facts, right.facts)
}

/** What every {@link ArchiveIndex} must do. Each case receives an empty one. */
export const archiveIndexConformance: readonly ConformanceCase<ArchiveIndex>[] = [
  {
    name: 'returns directories, and only those of the area',
    async run (index) {
      await index.write([
        { put: at('a', ''), stored: stored('one', 2) },
        { put: at('a', 'sub'), stored: stored('two', 0) },
        { put: at('ab', ''), stored: stored('x', 1) },
      ])
      ensure(sameDirectory(index.directory(at('a', '')), stored('one', 2)), 'the root is not what was put')
      ensure(same(index.directory(at('a', 'sub'))?.facts, new Uint8Array(0)), 'empty facts were not returned as empty')
      ensure(same(index.listing(at('a', 'sub')), stored('two', 0).listing), 'the listing is not what was put')
      ensure(index.listing(at('b', '')) === undefined, 'an area that was never written has a listing')
      const all = [...index.directories('a')].map(({ directory, files }) => `${directory}:${String(files)}`)
      ensure(all.join() === ':2,sub:0', `the directories are ${all.join()}`)
      const counts = ['', 'sub', 'ta'].map(after => [...index.directories('a', path(after))].length)
      ensure(counts.join() === '1,0,0', `the numbers of directories after one are ${counts.join()}`)
    },
  },
  {
    name: 'drops a directory alone, or with everything below it and nothing beside it',
    async run (index) {
      const paths = ['', 'd', 'd/e', 'd/e/f', 'd0', 'd-', 'de']
      await index.write(paths.map(directory => ({ put: at('a', directory), stored: stored('n', 1) })))
      await index.write([{ drop: at('a', 'd/e'), recursive: false }])
      const isAlone = index.listing(at('a', 'd/e')) === undefined && index.listing(at('a', 'd/e/f')) !== undefined
      ensure(isAlone, 'one directory was not dropped alone')
      await index.write([{ drop: at('a', 'd'), recursive: true }])
      const left = [...index.directories('a')].map(({ directory }) => directory)
      ensure(left.sort().join() === ',d-,d0,de', `what is left is ${left.join()}`)
    },
  },
  {
    name: 'moves everything of an area to another name, or forgets it, and nothing of other areas',
    async run (index) {
      const record = { open: false, lastStampMs: 7 }
      for (const area of ['a', 'ab']) {
        await index.write([
          { area, record: area === 'a' ? { ...record, renamingTo: path('lönger') } : record },
          { put: at(area, ''), stored: stored('one', 2) },
          { put: at(area, 'sub/deep'), stored: stored('two', 1) },
          { area, path: path('sub/f'), signature: Uint8Array.of(1, 2) },
          { area, path: path('sub/f'), damages: [{ what: 'missing', foundAtMs: 1, stored: stored('f', 1) }] },
        ])
      }
      await index.write([{ area: 'a', renamedTo: 'lönger' }])
      ensure(index.areas().join() === 'ab,lönger', `the areas are ${index.areas().join()}`)
      ensure(JSON.stringify(index.area('lönger')) === JSON.stringify(record), 'the record is not what it was, without the renaming')
      for (const area of ['ab', 'lönger']) {
        ensure(sameDirectory(index.directory(at(area, 'sub/deep')), stored('two', 1)), `a directory of ${area} is not what was put`)
        ensure([...index.directories(area)].length === 2, `${area} does not have two directories`)
        ensure(same(index.signature(area, path('sub/f')), Uint8Array.of(1, 2)), `the signature in ${area} is not what was put`)
        ensure(index.damagesAt(area, path('sub/f'))[0]?.what === 'missing', `the damage in ${area} is not what was put`)
      }
      ensure([...index.directories('a')].length + [...index.damages('a')].length === 0, 'something is left under the old name')
      await index.write([{ area: 'lönger', forgotten: true }])
      ensure(index.areas().join() === 'ab' && [...index.directories('lönger')].length === 0, 'an area was not forgotten')
      ensure(index.signature('lönger', path('sub/f')) === undefined, 'a signature was not forgotten')
      ensure([...index.directories('ab')].length === 2, 'another area was forgotten too')
    },
  },
  {
    name: 'does not change what it returned when it reads more',
    async run (index) {
      await index.write([{ put: at('a', 'x'), stored: stored('first', 3) }, { put: at('a', 'y'), stored: stored('second', 5) }])
      const first = index.directory(at('a', 'x'))
      index.directory(at('a', 'y'))
      ensure(sameDirectory(first, stored('first', 3)), 'a later read changed what an earlier one returned')
    },
  },
  {
    name: 'keeps records, signatures and the journal in order',
    async run (index) {
      const staged = Uint32Array.of(7, 0xffff_ffff)
      const section = { directory: path('d'), entries: stored('n', 0).listing, staged, facts: new Uint8Array(3).fill(9) }
      const removals = [{ directory: path('r'), names: [name('x'), name('ü')] }]
      const batch = { staging: 's', count: 1, stampMs: 5, begunMs: 5, sections: [section], removals }
      await index.write([
        { area: 'a', journal: 300, batch }, { area: 'a', journal: 2, batch }, { area: 'b', journal: 1, batch },
        { area: 'a', record: { open: true, lastStampMs: 9, staging: 's' } },
        { area: 'a', path: path('big'), signature: Uint8Array.of(1, 2, 3) },
      ])
      const journal = index.journal('a')
      ensure(journal.map(({ number }) => number).join() === '2,300', 'the journal is out of order or has entries of other areas')
      const read = journal[0]?.batch
      ensure(read?.stampMs === 5 && read.removals[0]?.names.join() === 'x,ü', 'the batch is not what was written')
      const [copy] = read.sections
      const isSameSection = copy?.staged.join() === '7,4294967295' && same(copy.entries, section.entries) && same(copy.facts, section.facts)
      ensure(isSameSection, 'the section is not what was written')
      ensure(index.area('a')?.lastStampMs === 9 && index.areas().join() === 'a', 'the record is not what was written')
      ensure(same(index.signature('a', path('big')), Uint8Array.of(1, 2, 3)), 'the signature is not what was written')
      await index.write([{ area: 'a', journal: 2, batch: undefined }, { area: 'a', path: path('big'), signature: undefined }])
      ensure(index.journal('a').length === 1 && index.signature('a', path('big')) === undefined, 'what was removed is still there')
    },
  },
  {
    name: 'keeps records of damage by path, and returns only those of the area',
    async run (index) {
      const record = { what: 'altered' as const, foundAtMs: 7, stored: stored('n', 1) }
      await index.write([
        { area: 'a', path: path('z'), damages: [record] }, { area: 'ab', path: path('y'), damages: [record] },
        { area: 'a', path: path('d/e'), damages: [{ ...record, untilMs: 9 }, record] },
      ])
      const untilOf = (records: readonly DamageRecord[]): string => records.map(({ untilMs }) => String(untilMs ?? 'open')).join('+')
      const all = [...index.damages('a')].map(({ path, records }) => `${path}:${untilOf(records)}`)
      ensure(all.join() === 'd/e:9+open,z:open', `the damage is ${all.join()}`)
      const [read] = index.damagesAt('a', path('z'))
      const isSameRecord = read?.what === 'altered' && read.foundAtMs === 7 && sameDirectory(read.stored, record.stored)
      ensure(isSameRecord, 'the record is not what was written')
      await index.write([{ area: 'a', path: path('z'), damages: [] }])
      ensure(index.damagesAt('a', path('z')).length === 0 && [...index.damages('a')].length === 1, 'a dropped record is still there')
    },
  },
  ...indexPageCases,
]
