import type { FileSyncError } from '@filesync/protocol'
import type { PackRead, StreamRequest, StreamStep } from '../file-source.ts'
import type { WantedColumns } from './wanted-columns.ts'

/** Start parameters of a source worker. */
export interface SourceWorkerData {
  /** The directories to read, by their paths in the tree. */
  readonly roots: ReadonlyMap<string, string>
}

/** The requests that a source worker answers. */
export type SourceCall =
  | { readonly kind: 'PACK', readonly id: number, readonly files: WantedColumns, readonly compress: boolean }
  | { readonly kind: 'DIGESTS', readonly id: number, readonly files: WantedColumns }
  | { readonly kind: 'NEXT', readonly id: number, readonly stream: number, readonly compress: boolean }

/** All requests to a source worker; `stream` is the number of an open file. */
export type SourceQuestion =
  | SourceCall
  | { readonly kind: 'OPEN', readonly stream: number, readonly request: StreamRequest }
  | { readonly kind: 'CLOSE', readonly stream: number }
  | { readonly kind: 'RELEASE' }

/** With a buffer for the frame that answers the request, if one is free. */
export interface LentBuffer {
  readonly buffer?: ArrayBuffer | undefined
}

/**
 * An answer of a source worker, with the buffer that it was lent if no frame uses it. Errors are sent as code and message,
 * because classes do not survive structured cloning.
 */
export type SourceAnswer =
  & { readonly id: number, readonly spare: ArrayBuffer | undefined }
  & ({ readonly result: PackRead | StreamStep } | { readonly error: { readonly code: FileSyncError['code'], readonly message: string } })
