import type { Clock } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { PushSettings } from '../settings.ts'
import type { FolderMemories } from '../folders/folder-memory.ts'
import { FolderSet } from '../folders/folder-set.ts'

const OWN_STATE = 'it is the state directory of FileSync, which holds the private key of this client'

/** Opens the folders of a command for scanning. Throws SOURCE_UNAVAILABLE if one that was never pushed cannot be read. */
export async function openFolders (settings: PushSettings, memories: FolderMemories, clock: Clock): Promise<FolderSet> {
  const { folders, stateDir, ignoreFile, builtInIgnores, settleMs, links, acceptSource } = settings
  return await FolderSet.open({
    folders, memories, clock, hash: hashBytes, settleMs, links, accept: acceptSource,
    ignore: { builtIn: builtInIgnores, ...(ignoreFile !== undefined && { file: ignoreFile }) },
    excluded: [{ path: stateDir, why: OWN_STATE }],
  })
}
