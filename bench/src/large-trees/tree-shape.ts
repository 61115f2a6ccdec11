/** How the files of a large tree are spread over directories. */
export interface TreeShape {
  /** Undefined if all files are in the root. */
  readonly filesInDirectory: number | undefined
  /** Undefined if all directories are in the root. */
  readonly directoriesInDirectory: number | undefined
}

/** Such as a project or a mail folder has: no directory is large. */
export const NORMAL: TreeShape = { filesInDirectory: 1000, directoriesInDirectory: 100 }
export const ONE_DIRECTORY: TreeShape = { filesInDirectory: undefined, directoriesInDirectory: undefined }
/** The same files in directories of usual size. */
export const SMALL_DIRECTORIES: TreeShape = { filesInDirectory: 125, directoriesInDirectory: 100 }
/** As many directories as files, all of them in the root. */
export const ONE_FILE_EACH: TreeShape = { filesInDirectory: 1, directoriesInDirectory: undefined }

/** The path of a file. Paths in the order of their numbers are in the order of their names too. */
export function pathOf ({ filesInDirectory, directoriesInDirectory }: TreeShape, file: number): string {
  const name = `f${padded(file)}`
  if (filesInDirectory === undefined) return name
  const directory = Math.floor(file / filesInDirectory)
  const inside = `d${padded(directory)}/${name}`
  return directoriesInDirectory === undefined ? inside : `p${padded(Math.floor(directory / directoriesInDirectory))}/${inside}`
}

/** The number of directories for so many files, the root not included. */
export function directoryCount ({ filesInDirectory, directoriesInDirectory }: TreeShape, files: number): number {
  if (filesInDirectory === undefined) return 0
  const directories = Math.ceil(files / filesInDirectory)
  return directories + (directoriesInDirectory === undefined ? 0 : Math.ceil(directories / directoriesInDirectory))
}

/** Ten bytes that no other file of the tree has, and that differ by edition. */
export function contentOf (file: number, edition: number): string {
  return `${edition.toString(36).padStart(2, '0')}${padded(file)}\n`
}

function padded (value: number): string {
  return String(value).padStart(7, '0')
}
