import { expect, test } from 'vitest'
import type { Name, RelativePath } from '@filesync/protocol'
import type { WantedFile } from '../src/file-source.ts'
import { openWanted } from '../src/node/open-file.ts'

const FILE: WantedFile = {
  task: 0,
  directory: 'a' as RelativePath,
  entry: { kind: 'file', name: 'file' as Name, sizeBytes: 1, mtimeNs: 0n, mode: 0o644, fileId: 0n },
}

/** How often a file is tried and the handles of directories are closed, if opening its directory fails. */
function attempts (code: string): { opened: number, released: number, fault: unknown } {
  let [opened, released] = [0, 0]
  const fault = openWanted(FILE, {
    prefix () {
      opened++
      throw Object.assign(new Error(code), { code, syscall: 'open' })
    },
    releaseHandles () {
      released++
      return true
    },
  })
  return { opened, released, fault }
}

test.each([
  ['ENOENT', { code: 'VANISHED' }], ['ENOTDIR', { code: 'CHANGED_DURING_READ' }], ['ELOOP', { code: 'CHANGED_DURING_READ' }],
  ['ESTALE', { code: 'UNREADABLE', detail: 'ESTALE' }],
])('opens directories again after %s, which a replaced directory may cause', (code, fault) => {
  expect(attempts(code)).toEqual({ opened: 2, released: 1, fault })
})

test.each(['EACCES', 'EPERM'])('keeps directories open after %s', code => {
  expect(attempts(code)).toEqual({ opened: 1, released: 0, fault: { code: 'UNREADABLE', detail: code } })
})
