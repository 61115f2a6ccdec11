export { memoryRecords } from './memory-records.ts'
export { recordStoreConformance } from './record-store-conformance.ts'
export type { StorePair } from './record-store-conformance.ts'
