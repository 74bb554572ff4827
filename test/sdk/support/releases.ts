export interface Pin {
  readonly package: 'atomscale' | 'atomicds';
  readonly version: string;
  /** What the release stands for: releases of one generation send the same calls. */
  readonly generation: string;
}

export interface Release extends Pin {
  readonly isNewest: boolean;
  readonly installed?: {
    readonly python: string;
    readonly pythonVersion: string;
    /** Settings that put the release in front of the one that the environment holds. */
    readonly environment: Record<string, string>;
    /** What the package can do, as `describe.py` finds it. */
    readonly has: ReadonlySet<string>;
    /** What users call, and the paths in its sources. */
    readonly calls: readonly string[];
  };
  /** Why the release could not be installed. */
  readonly failure?: string;
}

/** One release of each generation, oldest first. The newest that PyPI offers runs too, when it is none of these. */
export const pins: readonly Pin[] = [
  { package: 'atomicds', version: '0.5.0', generation: 'reading only, strict rows, settings ADS_*' },
  { package: 'atomscale', version: '0.7.2', generation: 'reading only, rows' },
  { package: 'atomscale', version: '0.11.0', generation: 'A: /metrology/stream, project settings, no tags' },
  { package: 'atomscale', version: '0.12.0', generation: 'B: A with tags' },
  { package: 'atomscale', version: '0.15.0', generation: 'C: B with project tracking' },
  { package: 'atomscale', version: '0.20.1', generation: 'D: C under /tool-state/stream' },
  { package: 'atomscale', version: '0.21.6', generation: 'E: D with chunk/multi and three attempts' },
  { package: 'atomscale', version: '0.21.10', generation: 'F: E with samples and tags before initialize' },
];

export function nameOf(release: Pin): string {
  return `${release.package} ${release.version}`;
}

/** Whether a release is one of the pins; a newest one that is younger than they are is not, and has no transcript. */
export function isPinned(release: Pin): boolean {
  return pins.some((pin) => pin.package === release.package && pin.version === release.version);
}
