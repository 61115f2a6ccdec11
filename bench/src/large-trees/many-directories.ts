import type { Bench } from '../bench.ts'
import { withSide } from '../pairs.ts'
import { atMost, totalCpuMs, under } from '../row.ts'
import type { Row } from '../row.ts'
import { GROWTH, PEAK_BYTES } from './bars.ts'
import { LargeTree } from './large-tree.ts'
import { expectStored, openSide, pushTree, StepRuns } from './pushes.ts'
import { ONE_FILE_EACH } from './tree-shape.ts'

/** From more than this many directories on, their own records may take more memory. */
const MANY = 100_000
const PEAK_BYTES_OF_MANY = 500_000_000

/** As many directories as files, beside a tenth of them; then as many empty ones again. */
export async function manyDirectories (bench: Bench): Promise<Row[]> {
  const tenth = await pushAndAdd(bench, Math.ceil(bench.files / 10))
  const all = await pushAndAdd(bench, bench.files)
  const memory = under('peakBytes', bench.files > MANY ? PEAK_BYTES_OF_MANY : PEAK_BYTES)
  return all.steps.map(step => ({
    case: 'many-directories', work: `${step}, ${bench.files} directories of one file`, bars: [memory, atMost('cpuGrowth', GROWTH)],
    ours: all.of(step), theirs: [], tenthCpuMs: totalCpuMs(tenth.of(step)), isDetailed: true,
  }))
}

async function pushAndAdd (bench: Bench, directories: number): Promise<StepRuns> {
  const runs = new StepRuns(bench.log)
  for (let pass = 0; pass < bench.pairs; pass++) {
    const tree = await LargeTree.make(bench, ONE_FILE_EACH, directories)
    bench.log(`made ${tree.directories} directories of one file`)
    await withSide(await openSide(bench), async side => {
      runs.add('first push', await pushTree(bench, side, tree, { sent: tree.files, deleted: 0 }))
      await expectStored(bench, side, tree)
      runs.add('no change', await pushTree(bench, side, tree, { sent: 0, deleted: 0 }))
      tree.addEmptyDirectories()
      runs.add('as many empty directories added', await pushTree(bench, side, tree, { sent: 0, deleted: 0 }))
      await expectStored(bench, side, tree)
    })
    tree.remove()
  }
  return runs
}
