import { compareNames, FileSyncError, LIMITS, safePageDigest, splitPath } from '@filesync/protocol'
import type { Connection, Digest, FileVerdict, HashBytes, Name, QuestionedFile, RelativePath } from '@filesync/protocol'

/** A file or link that was read, to ask the server about. */
export interface AskedCopy {
  readonly path: RelativePath
  readonly kind: 'file' | 'symlink'
  /** 0 for a link. */
  readonly sizeBytes: number
  readonly digest: Digest
}

/** Something at a path that cannot be compared. */
export interface UnaskedCopy {
  readonly path: string
}

export interface AskInit {
  readonly connection: Connection
  readonly hash: HashBytes
  /** Makes the server read its copies again. */
  readonly fresh: boolean
}

/** A copy, its name, and its place among those to ask about. */
interface PlacedCopy {
  readonly copy: AskedCopy
  readonly name: Name
  readonly at: number
}

/** Copies that are neighbors in one directory. */
interface Page {
  readonly directory: RelativePath
  readonly copies: readonly PlacedCopy[]
}

/** A page that is not safe as a whole is asked about in parts, down to this many copies; then one by one. */
const LEAST_PAGE = 16
const PARTS = 4

/**
 * Asks the server about copies: first about whole pages of them, and one by one only about those of pages in which something differs.
 * Resolves to one verdict for each copy, in their order; undefined for those that cannot be asked about, which divide the pages. Throws
 * what ends the connection.
 */
export async function askServer (
  copies: readonly (AskedCopy | UnaskedCopy)[], init: AskInit,
): Promise<(FileVerdict | undefined)[]> {
  const verdicts: (FileVerdict | undefined)[] = copies.map(() => undefined)
  const single: PlacedCopy[] = []
  for (let pages = cutPages(copies); pages.length > 0;) {
    const left: Page[] = []
    for (let at = 0; at < pages.length; at += LIMITS.pagesPerQuestion) {
      const group = pages.slice(at, at + LIMITS.pagesPerQuestion)
      const answers = await askPages(group, init)
      for (const [i, page] of group.entries()) {
        const answer = answers[i]
        if (answer !== undefined) page.copies.forEach((copy, place) => { verdicts[copy.at] = answer[place] })
        else if (page.copies.length <= LEAST_PAGE) single.push(...page.copies)
        else left.push(...divide(page))
      }
    }
    pages = left
  }
  single.sort((a, b) => a.at - b.at)
  for (let at = 0; at < single.length; at += LIMITS.filesPerQuestion) {
    const group = single.slice(at, at + LIMITS.filesPerQuestion)
    const answers = await askFiles(group.map(({ copy }) => copy), init)
    group.forEach((copy, i) => { verdicts[copy.at] = answers[i] })
  }
  return verdicts
}

/** Pages of at most `LIMITS.pageEntries` copies, in name order. None reaches over something that cannot be asked about. */
function cutPages (copies: readonly (AskedCopy | UnaskedCopy)[]): Page[] {
  const byDirectory = new Map<RelativePath, (Omit<PlacedCopy, 'copy'> & { readonly copy: AskedCopy | undefined })[]>()
  copies.forEach((copy, at) => {
    const { directory, name } = splitPath(copy.path as RelativePath)
    const placed = { copy: 'digest' in copy ? copy : undefined, name, at }
    const known = byDirectory.get(directory)
    if (known === undefined) byDirectory.set(directory, [placed])
    else known.push(placed)
  })
  const pages: Page[] = []
  for (const [directory, inside] of byDirectory) {
    let open: PlacedCopy[] = []
    for (const { copy, name, at } of inside.sort((a, b) => compareNames(a.name, b.name))) {
      if (copy !== undefined) open.push({ copy, name, at })
      if (open.length === 0 || (copy !== undefined && open.length < LIMITS.pageEntries)) continue
      pages.push({ directory, copies: open })
      open = []
    }
    if (open.length > 0) pages.push({ directory, copies: open })
  }
  return pages
}

function divide ({ directory, copies }: Page): Page[] {
  const size = Math.ceil(copies.length / PARTS)
  return Array.from({ length: PARTS }, (_, i) => ({ directory, copies: copies.slice(i * size, (i + 1) * size) }))
    .filter(part => part.copies.length > 0)
}

/** For each page the verdicts of its copies; undefined if not all are safe. */
async function askPages (
  pages: readonly Page[], { connection, hash, fresh }: AskInit,
): Promise<((FileVerdict | undefined)[] | undefined)[]> {
  await connection.send({
    type: 'SAFE_PAGES_QUESTION',
    fresh,
    pages: pages.map(({ directory, copies }) => ({
      path: directory,
      first: copies[0]?.name ?? '',
      last: copies.at(-1)?.name ?? '',
      files: copies.length,
      digest: safePageDigest(copies.map(({ copy, name }) => ({ ...copy, name })), hash),
    })),
  })
  const { pages: answers } = await connection.receive(['SAFE_PAGES_ANSWER'])
  if (answers.length !== pages.length) throw wrongAnswer(pages.length, answers.length)
  return answers.map(({ runs, read }, i) => {
    if (runs.length === 0) return undefined
    const verdicts = runs.flatMap(([files, storedAtMs, verifiedAtMs]): FileVerdict[] => {
      const verdict: FileVerdict = {
        verdict: 'SAFE', ...(storedAtMs > 0 && { storedAtMs }), ...(verifiedAtMs > 0 && { verifiedAtMs }),
        ...(read !== undefined && verifiedAtMs > 0 && { read }),
      }
      return Array.from({ length: files }, () => verdict)
    })
    const asked = pages[i]?.copies.length ?? 0
    if (verdicts.length !== asked) throw wrongAnswer(asked, verdicts.length)
    return verdicts
  })
}

async function askFiles (copies: readonly AskedCopy[], { connection, fresh }: AskInit): Promise<readonly FileVerdict[]> {
  const files = copies.map(({ path, kind, digest }): QuestionedFile => ({ path, kind: kind === 'file' ? 'FILE' : 'SYMLINK', digest }))
  await connection.send({ type: 'SAFE_QUESTION', fresh, files })
  const answer = await connection.receive(['SAFE_ANSWER'])
  if (answer.files.length !== files.length) throw wrongAnswer(files.length, answer.files.length)
  return answer.files
}

function wrongAnswer (asked: number, answered: number): FileSyncError {
  return new FileSyncError('MESSAGE_INVALID', `The server was asked about ${asked} files and answered for ${answered}.`)
}
