import { Type } from '@sinclair/typebox';
import { DateTime, Name } from '../../http/schemas.ts';
import type { CatalogueLimits } from '../limits.ts';
import { LinkedIds } from '../schemas.ts';

export const Tag = Type.Object({
  id: Type.String(),
  name: Type.String(),
  created_datetime: DateTime('when the tag was created'),
});

export const NewTag = Type.Object({
  name: Name({ description: 'trimmed; one tag per name, without regard to case' }),
});

export const NewTagLinks = (limits: CatalogueLimits) =>
  Type.Object({
    data_ids: LinkedIds('data entries to tag', limits),
    tag_ids: LinkedIds('tags that each of them gets', limits),
  });

export const TagLinksToRemove = (limits: CatalogueLimits) =>
  Type.Object({
    data_ids: LinkedIds('data entries to take tags off', limits),
    tag_ids: LinkedIds('tags that none of them has any more', limits),
  });

export const RemovedTagLinks = Type.Object({
  success: Type.Literal(true),
  associations_removed: Type.Integer({ description: 'links that were there before' }),
});

export const TagLinks = Type.Object({
  success: Type.Literal(true),
  associations_created: Type.Integer({ description: 'links that were not there before' }),
});
