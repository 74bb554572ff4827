import { type Lab, openSite, type Site, type SiteOptions } from './lab.ts';

/** Which server a row has: one of its own with these options, one that it shares under a word, or that of all others. */
export type Own = SiteOptions | string | undefined;

/** The servers of a run. */
export interface Sites {
  /** Starts those that are not there, all at once. */
  open(owns: readonly Own[]): Promise<void>;
  /** The server of a row, started when it is not there. */
  take(own: Own): Promise<Site>;
  /** Ends it, so that whoever takes it next gets a new one. */
  drop(own: Own): Promise<void>;
  stop(): Promise<void>;
}

export function openSites(lab: Lab): Sites {
  const sites = new Map<Own, Promise<Site>>();
  const take = (own: Own) => {
    const site = sites.get(own) ?? openSite(lab, typeof own === 'object' ? own : {});
    sites.set(own, site);
    return site;
  };
  const drop = async (own: Own) => {
    const site = await sites.get(own);
    sites.delete(own);
    await site?.stop();
  };
  return {
    async open(owns) {
      await Promise.all(owns.map(take));
    },
    take,
    drop,
    async stop() {
      await Promise.all([...sites.keys()].map(drop));
    },
  };
}
