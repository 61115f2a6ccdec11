export { MemorySource } from './memory-source.ts'
export type { Hashing, MemorySourceInit } from './memory-source.ts'
export { MemoryStaging, MemoryStore } from './memory-staging.ts'
export type { MemoryStagingInit } from './memory-staging.ts'
