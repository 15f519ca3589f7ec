"""The descriptors of all messages here, apart from the ones of other libraries.

TensorFlow, where it is imported, brings messages of the same names; in one pool they would be refused.
"""

from google.protobuf import any_pb2, wrappers_pb2
from google.protobuf.descriptor_pool import DescriptorPool

POOL = DescriptorPool()
for well_known in (any_pb2, wrappers_pb2):
    POOL.AddSerializedFile(well_known.DESCRIPTOR.serialized_pb)
