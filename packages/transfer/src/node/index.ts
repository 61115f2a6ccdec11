export { openFileSource } from './file-source.ts'
export type { FileSourceInit } from './file-source.ts'
export { zstdCompress, zstdDecompress } from './zstd.ts'
