export { datagramBusConformance } from './datagram-bus-conformance.ts'
export type { BusPair } from './datagram-bus-conformance.ts'
export { MemoryBus, memoryLink, MemoryNetwork } from './memory-network.ts'
export type { Fate, MemoryBusInit, MemoryLink } from './memory-network.ts'
