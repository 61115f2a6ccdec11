import type { ConformanceCase } from '@filesync/protocol/testing'
import { storePlacingCases } from './store-placing-cases.ts'
import { storeReadingCases } from './store-reading-cases.ts'
import { storeStagingCases } from './store-staging-cases.ts'
import type { StoreSubject } from './store-subject.ts'

/** What every `ContentStore` must do. Each case receives an empty one. */
export const contentStoreConformance: readonly ConformanceCase<StoreSubject>[] = [
  ...storeStagingCases, ...storePlacingCases, ...storeReadingCases,
]
