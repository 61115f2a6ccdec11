import type { Audit, DeviceId } from '@filesync/identity'
import { formatCount, printable } from '@filesync/program'
import type { EventLog } from '@filesync/program'
import { formatSize } from '@filesync/protocol'
import type { RestoreObserver, ServedRestore } from './serve-restore.ts'

export interface RecordRestoresInit {
  readonly audit: Audit
  readonly log: EventLog
  readonly id: DeviceId
  readonly address: string
}

/** Records who reads what back: in the audit log before anything is sent, and in the log when it ends. */
export function recordRestores ({ audit, log, id, address }: RecordRestoresInit): RestoreObserver {
  return {
    onBegin: async restore => { await audit.record({ event: 'restore', id, address, ...facts(restore) }) },
    onEnd: (restore, { files, bytes, damaged }) => {
      const { area, path } = restore
      const what = path === '' ? 'everything' : printable(path)
      const amount = `${formatCount(files, 'file')}, ${formatSize(bytes)}`
      log(
        { event: 'restored', address, ...facts(restore), sentFiles: files, sentBytes: bytes },
        `${area}: read back ${what} as of ${restore.point ?? new Date(restore.atMs).toISOString()}: ${amount} sent`,
      )
      if (damaged === 0) return
      log(
        { event: 'restore-damaged', area, path, copies: damaged },
        `${area}: ${formatCount(damaged, 'copy was', 'copies were')} found damaged while files were read back; ` +
          'run "filesync-server verify"',
      )
    },
  }
}

function facts ({ area, path, point, atMs, files, bytes }: ServedRestore): ServedRestore {
  return { area, path, point, atMs, files, bytes }
}
