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
  | { readonly kind: 'DIGESTS', readonly call: number, readonly files: WantedColumns }
  | { readonly kind: 'OPEN', readonly stream: number, readonly request: StreamRequest }
  | { readonly kind: 'NEXT', readonly call: number, readonly stream: number, readonly compress: boolean }
  | { readonly kind: 'CLOSE', readonly stream: number }
  | { readonly kind: 'RELEASE' }

/** A question with a buffer for the frame that answers it, where one is free. */
export type LendingQuestion = SourceQuestion & { readonly buffer?: ArrayBuffer | undefined }

/**
 * What a source worker answers, with the buffer that it was lent where no frame took it. Errors cross as their parts,
 * because a thread keeps its classes to itself.
 */
export type SourceAnswer =
  & { readonly call: number, readonly spare: ArrayBuffer | undefined }
  & ({ readonly result: PackRead | StreamStep } | { readonly error: { readonly code: FileSyncError['code'], readonly message: string } })
