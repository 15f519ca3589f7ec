"""A client without stubs, as grpcurl is: it learns services and messages by reflection, and then calls them."""

import grpc
from cases import GRPC_ADDRESS, QUADRATIC, case, close, main, native
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

channel = grpc.insecure_channel(GRPC_ADDRESS)
database = ProtoReflectionDescriptorDatabase(channel)
pool = DescriptorPool(database)


def call(service, method, /, **fields):
    described = pool.FindServiceByName(service).FindMethodByName(method)
    asked, said = GetMessageClass(described.input_type), GetMessageClass(described.output_type)
    return channel.unary_unary(f"/{service}/{method}", asked.SerializeToString, said.FromString)(asked(**fields))


@case
def services_are_listed():
    assert set(database.get_services()) >= {
        "inference.GRPCInferenceService",
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


@case
def a_model_is_asked():
    contents = {"fp32_contents": [cell for row in QUADRATIC for cell in row]}
    rows = {"name": "rows", "datatype": "FP32", "shape": [3, 2], "contents": contents}
    said = call("inference.GRPCInferenceService", "ModelInfer", model_name="quadratic", inputs=[rows])
    assert said.outputs[0].name == "y" and len(said.raw_output_contents[0]) == 12
    tensor = {"dtype": 1, "float_val": contents["fp32_contents"], "tensor_shape": {"dim": [{"size": 3}, {"size": 2}]}}
    spec = {"name": "quadratic"}
    answer = call("tensorflow.serving.PredictionService", "Predict", model_spec=spec, inputs={"rows": tensor})
    close(list(answer.outputs["y"].float_val), native("quadratic", QUADRATIC))


@case
def health_is_checked():
    assert call("grpc.health.v1.Health", "Check").status == 1
    assert call("grpc.health.v1.Health", "Check", service="tensorflow.serving.ModelService").status == 1


main()
