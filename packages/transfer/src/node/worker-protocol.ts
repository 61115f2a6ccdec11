import type { FileSyncError } from '@filesync/protocol'
import type { PackRead, StreamRequest, StreamStep } from '../file-source.ts'
import type { WantedColumns } from './wanted-columns.ts'

/** What a source worker is started with. */
export interface SourceWorkerData {
  readonly root: string
}

/** What a source worker is asked. `call` numbers the questions that have an answer, `stream` the files that are open. */
export type SourceQuestion =
  | { readonly kind: 'PACK', readonly call: number, readonly files: WantedColumns, readonly compress: boolean }
  | { readonly kind: 'OPEN', readonly stream: number, readonly request: StreamRequest }
  | { readonly kind: 'NEXT', readonly call: number, readonly stream: number, readonly compress: boolean }
  | { readonly kind: 'CLOSE', readonly stream: number }

/** What a source worker answers. Errors cross as their parts, because a thread keeps its classes to itself. */
export type SourceAnswer =
  | { readonly call: number, readonly result: PackRead | StreamStep }
  | { readonly call: number, readonly error: { readonly code: FileSyncError['code'], readonly message: string } }
