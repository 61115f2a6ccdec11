import type { Name, RelativePath } from '@filesync/protocol'
import type { Explanation } from '@filesync/scanner'
import { expect, test } from 'vitest'
import { explainPath } from '../src/explain-path.ts'
import { RunRecord } from '../src/run-record.ts'
import type { Activity } from '../src/run-record.ts'

const PATH = 'a/b' as RelativePath
const LISTED: Explanation = { state: 'listed', entry: { kind: 'file', name: 'b' as Name, sizeBytes: 1, mtimeNs: 2n, mode: 0o644, identity: 3n } }

test.each<[Activity, RegExp]>([
  [{ doing: 'idle' }, /^No client is running, so it is not known here/u],
  [{ doing: 'connecting' }, /not stored yet: the server is being looked for\.$/u],
  [{ doing: 'queued', position: 3, estimateMs: undefined }, /not stored yet: this client is in place 3 of the server's queue\.$/u],
  [{ doing: 'comparing' }, /not stored yet: the directory is being compared/u],
  [{ doing: 'waiting', untilMs: 0 }, /not stored yet: the next run is at 1970-01-01T00:00:00\.000Z\.$/u],
])('a file that was never stored, while the client does %j', (activity, reason) => {
  const record = new RunRecord()
  record.activity = activity
  expect(explainPath(PATH, LISTED, record)).toEqual({ path: PATH, state: 'pending', reason: expect.stringMatching(reason) as unknown })
})
